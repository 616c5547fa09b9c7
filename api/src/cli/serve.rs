//! `api serve`: HTTP, the relay and everything else of one process, until it is told to stop.

use crate::{
    app::script_cache::ScriptCache,
    background::{metrics_sampler, retention, scheduler},
    config::Config,
    db::{
        pool::{self, Outage, Pools},
        probe::Probe,
        queue_quota::QueueQuota,
        shares::Shares,
    },
    delivery::{Dispatcher, Relay, ingest::Ingest},
    http::{
        self,
        auth::{api_key::KeyCache, rate_limit::RateLimit, signature::WorkspaceCache},
        server::{self, HEAD_TIMEOUT},
        state::{AppState, Shared},
    },
    live::{Live, NotificationSinks},
};
use anyhow::Context;
use metrics_exporter_prometheus::PrometheusHandle;
use packages::Packages;
use shared::amqp::{Broker, DeadLetters, Topology};
use std::{net::Ipv4Addr, sync::Arc, time::Duration};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

/// Requests under way may take this long after the signal to stop.
const DRAIN: Duration = Duration::from_secs(20);

/// Serves until SIGTERM or SIGINT.
pub async fn run(config: Config, metrics: PrometheusHandle) -> anyhow::Result<()> {
    let stopping = CancellationToken::new();
    let signalled = stopping.clone();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        signalled.cancel();
    });
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, config.port))
        .await
        .with_context(|| format!("can't listen on port {}", config.port))?;
    serve(config, listener, Some(metrics), stopping).await
}

/// Serves on `listener` until `stopping`.
pub async fn serve(
    config: Config,
    listener: TcpListener,
    metrics: Option<PrometheusHandle>,
    stopping: CancellationToken,
) -> anyhow::Result<()> {
    let publishing = Broker::connect(config.amqp_url.expose(), "api publisher")?;
    let consuming = Broker::connect(config.amqp_url.expose(), "api consumer")?;
    let state = state(&config, publishing, consuming, stopping.clone())?;

    let mut tasks = JoinSet::new();
    let sinks = notification_sinks(&state);
    tasks.spawn(state.live.clone().run(
        state.pool.clone(),
        config.database.url.clone(),
        sinks,
        stopping.clone(),
    ));
    deliver(&mut tasks, &config, &state);

    tracing::info!(address = %listener.local_addr()?, "serving");
    let app = http::router(&state, metrics);
    let http = server::serve(listener, app, HEAD_TIMEOUT, stopping.clone());
    let deadline = async {
        stopping.cancelled().await;
        tokio::time::sleep(DRAIN).await;
    };
    tokio::select! {
        () = http => {}
        () = deadline => tracing::warn!("requests were still under way when the time to stop was over"),
    }
    stopping.cancel();
    let last = async {
        tasks.join_all().await;
        state.dispatcher.drain().await;
    };
    if tokio::time::timeout(DRAIN, last).await.is_err() {
        tracing::warn!("what runs beside the requests was cut off when the time to stop was over");
    }
    tokio::join!(state.publishing.close(), state.consuming.close());
    Ok(())
}

/// The reactions of this process to notifications of the database.
pub fn notification_sinks(state: &AppState) -> NotificationSinks {
    let (keys, written, changed) = (state.keys.clone(), state.dispatcher.clone(), state.dispatcher.clone());
    NotificationSinks {
        outage: state.outage.clone(),
        execution_changed: Box::new(move || changed.note_change()),
        outbox_written: Box::new(move || written.wake().notify_one()),
        api_key_revoked: Box::new(move || keys.clear()),
    }
}

/// Starts what brings executions into being and to the broker.
fn deliver(tasks: &mut JoinSet<()>, config: &Config, state: &AppState) {
    let (pool, wake, stopping) = (&state.pool, state.dispatcher.wake(), &state.stopping);
    let (publishing, consuming) = (&state.publishing, &state.consuming);
    let topology = Topology::with_prefix(&config.amqp_prefix);
    tasks.spawn(Relay::new(state.dispatcher.clone()).run(stopping.clone()));
    let ingest = Ingest::new(pool.clone(), consuming.clone(), publishing.clone(), topology, wake.clone());
    tasks.spawn(ingest.run(stopping.clone()));
    tasks.spawn(scheduler::run(pool.clone(), wake.clone(), stopping.clone()));
    let keep = (config.retention_days > 0).then(|| Duration::from_hours(24 * config.retention_days));
    tasks.spawn(metrics_sampler::run(
        [pool.clone(), state.lists.pool().clone()],
        publishing.clone(),
        Topology::with_prefix(&config.amqp_prefix),
        stopping.clone(),
    ));
    tasks.spawn(retention::run(pool.clone(), keep, stopping.clone()));
}

/// What the handlers share.
pub fn state(
    config: &Config,
    publishing: Broker,
    consuming: Broker,
    stopping: CancellationToken,
) -> anyhow::Result<AppState> {
    let outage = Arc::new(Outage::default());
    let Pools { requests: pool, lists, probes } = pool::pools(&config.database, &outage)?;
    let topology = Topology::with_prefix(&config.amqp_prefix);
    Ok(AppState::new(Shared {
        dispatcher: Dispatcher::new(
            &pool,
            publishing.clone(),
            topology.clone(),
            config.workspace_concurrency,
        ),
        lists: Shares::of_lists(lists),
        saves: Shares::of_saves(pool.clone()),
        probe: Probe::new(probes),
        pool,
        outage,
        signing_keys: config.signing_keys.clone(),
        keyring: config.keyring.clone(),
        http: config.http.clone(),
        live: Arc::new(Live::default()),
        keys: Arc::new(KeyCache::default()),
        workspaces: WorkspaceCache::default(),
        rate: RateLimit::new(config.http.rate_limit_per_s),
        quota: QueueQuota::new(config.http.queue_quota),
        scripts: ScriptCache::default(),
        dead_letters: DeadLetters::new(publishing.clone(), topology),
        publishing,
        consuming,
        packages: config.packages.clone().map(Packages::new).transpose()?,
        stopping,
    }))
}
