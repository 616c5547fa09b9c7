//! `api serve`: HTTP, the relay and all other tasks of one process.
//!
//! The only place where the parts of the api are put together.

use crate::{
    app::{script_cache::ScriptCache, types::TypesCache},
    background::{metrics_sampler::MetricsSampler, retention, scheduler},
    config::Config,
    db::{
        pool::{self, Outage, Pools},
        probe::Probe,
        queue_quota::QueueQuota,
        shares::Shares,
    },
    delivery::{DeadLetterInbox, Dispatcher, Relay, ingest::Ingest},
    http::{
        self,
        answer_memory::AnswerMemory,
        auth::{rate_limit::RateLimit, signature::WorkspaceCache},
        executions::EventStreams,
        state::{AppState, Shared},
    },
    live::NotificationSinks,
};
use anyhow::Context;
use metrics_exporter_prometheus::PrometheusHandle;
use packages::Packages;
use shared::{
    amqp::{Broker, Publisher, Topology},
    http::{
        BodyBudget,
        server::{self, ServerLimits},
    },
    process,
};
use std::{net::Ipv4Addr, sync::Arc, time::Duration};
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;

/// Limits the time after the signal to stop, in seconds, for requests, and then again for the other tasks.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(20);
/// Limits the open HTTP connections. A connection that waits for its client takes up to 80 KiB of memory, and every
/// open event stream is a connection.
const MAX_CONNECTIONS: usize = 1024;

/// Serves until SIGTERM or SIGINT.
pub(crate) async fn run(config: Config, metrics: PrometheusHandle) -> anyhow::Result<()> {
    let stopping = process::stop_on_signal()?;
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, config.port))
        .await
        .with_context(|| format!("can't listen on port {}", config.port))?;
    serve(config, listener, Some(metrics), stopping).await
}

/// Serves on `listener` until `stopping`.
pub(crate) async fn serve(
    config: Config,
    listener: TcpListener,
    metrics: Option<PrometheusHandle>,
    stopping: CancellationToken,
) -> anyhow::Result<()> {
    let publishing = Broker::connect(config.amqp_url.expose(), "api publisher")?;
    let consuming = Broker::connect(config.amqp_url.expose(), "api consumer")?;
    check_credentials(&config, &publishing).await?;
    let state = state(&config, publishing, consuming, stopping)?;
    let tasks = start_tasks(&config, &state);
    serve_http(listener, metrics, &state).await?;
    state.stopping.cancel();
    finish(tasks, &state).await;
    Ok(())
}

/// Limits, in seconds, how long the start waits for the answers of database and broker.
const CHECK_TIMEOUT: Duration = Duration::from_secs(5);

/// Fails if the database or the broker refuses this api's user, password, database or virtual host. A server that is
/// unreachable or slow is no error: the api connects later.
async fn check_credentials(config: &Config, broker: &Broker) -> anyhow::Result<()> {
    let database =
        async { pool::check_url(&config.database.url).await.context("DATABASE_URL can never work") };
    let broker = async { broker.check_address().await.context("AMQP_URL can never work") };
    let answers = async { tokio::try_join!(database, broker) };
    tokio::time::timeout(CHECK_TIMEOUT, answers).await.map_or(Ok(()), |checked| checked.map(drop))
}

/// Serves HTTP until the api stops, and then for at most [`DRAIN_TIMEOUT`].
async fn serve_http(
    listener: TcpListener,
    metrics: Option<PrometheusHandle>,
    state: &AppState,
) -> anyhow::Result<()> {
    tracing::info!(address = %listener.local_addr()?, "serving");
    let limits = ServerLimits::for_process(MAX_CONNECTIONS);
    let http = server::serve(listener, http::router(state, metrics), limits, state.stopping.clone());
    let deadline = async {
        state.stopping.cancelled().await;
        tokio::time::sleep(DRAIN_TIMEOUT).await;
    };
    tokio::select! {
        () = http => {}
        () = deadline => tracing::warn!("requests were cut off at the end of the drain timeout"),
    }
    Ok(())
}

/// Waits for the tasks for at most [`DRAIN_TIMEOUT`], then closes the connections to the broker.
async fn finish(tasks: JoinSet<()>, state: &AppState) {
    let drain = async {
        tasks.join_all().await;
        state.dispatcher.drain().await;
    };
    if tokio::time::timeout(DRAIN_TIMEOUT, drain).await.is_err() {
        tracing::warn!("background tasks were cut off at the end of the drain timeout");
    }
    tokio::join!(state.publishing.close(), state.consuming.close());
}

/// Returns the reactions of this process to notifications of the database.
pub fn notification_sinks(state: &AppState) -> NotificationSinks {
    let (keys, written, changed) = (state.keys.clone(), state.dispatcher.clone(), state.dispatcher.clone());
    NotificationSinks {
        outage: state.outage.clone(),
        execution_changed: Box::new(move || changed.note_change()),
        outbox_written: Box::new(move || written.wake().notify_one()),
        api_key_revoked: Box::new(move || keys.clear()),
    }
}

/// Starts the tasks that run beside the requests.
fn start_tasks(config: &Config, state: &AppState) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    start_delivery(&mut tasks, config, state);
    let (pool, stopping) = (&state.pool, &state.stopping);
    tasks.spawn(state.live.clone().run(
        pool.clone(),
        config.database.url.clone(),
        notification_sinks(state),
        stopping.clone(),
    ));
    tasks.spawn(scheduler::run(pool.clone(), state.dispatcher.wake().clone(), stopping.clone()));
    let sampler = MetricsSampler::new(
        vec![pool.clone(), state.lists.pool().clone()],
        state.publishing.clone(),
        Topology::with_prefix(&config.amqp_prefix),
        config.workspace_concurrency,
    );
    tasks.spawn(sampler.run(stopping.clone()));
    let keep = (config.retention_days > 0).then(|| Duration::from_hours(24 * config.retention_days));
    tasks.spawn(retention::run(pool.clone(), keep, stopping.clone()));
    tasks
}

/// Starts the relay, the ingest of events, and the inbox of dead letters.
fn start_delivery(tasks: &mut JoinSet<()>, config: &Config, state: &AppState) {
    let topology = Topology::with_prefix(&config.amqp_prefix);
    let inbox = DeadLetterInbox::new(state.pool.clone(), state.consuming.clone(), topology.clone());
    tasks.spawn(inbox.run(state.stopping.clone()));
    let ingest = Ingest::new(
        state.pool.clone(),
        state.consuming.clone(),
        state.publishing.clone(),
        topology,
        state.dispatcher.wake().clone(),
    );
    tasks.spawn(Relay::new(state.dispatcher.clone()).run(state.stopping.clone()));
    tasks.spawn(ingest.run(state.stopping.clone()));
}

/// Returns the state that the handlers share. Connects neither to the database nor to the broker.
pub fn state(
    config: &Config,
    publishing: Broker,
    consuming: Broker,
    stopping: CancellationToken,
) -> anyhow::Result<AppState> {
    let outage = Arc::new(Outage::default());
    let Pools { requests: pool, lists, probes } = pool::pools(&config.database, &outage)?;
    let topology = Topology::with_prefix(&config.amqp_prefix);
    let dispatcher =
        Dispatcher::new(&pool, publishing.clone(), topology.clone(), config.workspace_concurrency);
    Ok(AppState::new(Shared {
        lists: Shares::of_lists(lists),
        saves: Shares::of_saves(pool.clone()),
        answers: AnswerMemory::default(),
        probe: Probe::new(probes),
        pool,
        outage,
        signing_keys: config.signing_keys.clone(),
        body_budget: BodyBudget::default(),
        streams: EventStreams::default(),
        keyring: config.keyring.clone(),
        http: config.http.clone(),
        live: Arc::default(),
        dispatcher,
        keys: Arc::default(),
        workspaces: WorkspaceCache::default(),
        rate: RateLimit::new(config.http.rate_limit_per_s),
        quota: QueueQuota::new(config.http.queue_quota),
        scripts: ScriptCache::default(),
        dead_letter_publisher: Arc::new(Publisher::new(publishing.clone(), topology)),
        types: TypesCache::default(),
        publishing,
        consuming,
        packages: config.packages.clone().map(Packages::new).transpose()?,
        stopping,
    }))
}
