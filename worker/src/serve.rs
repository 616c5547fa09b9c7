//! `worker serve`: everything of one process, until it is told to stop.

use crate::{
    config::Config,
    consumer::Fleet,
    db::{Database, DatabaseError},
    execution::{
        Preparation, Runner,
        builds::Builds,
        plane_token::{PlaneTokens, TokenError},
    },
    http::{self, Connections, Nonces, ServerState},
    lease::{self, Claims, reaper::Reaper},
    supervisor::{
        Pool, PoolConfig, StartError,
        fetch::{self, FetchConfig, Fetcher},
    },
};
use axum::Router;
use metrics_exporter_prometheus::PrometheusHandle;
use packages::Packages;
use shared::amqp::{Broker, ConnectionState, Consumer, InvalidAddress, Publisher, Topology};
use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Why a worker can't start. A broker or a database that is away is no reason.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("AMQP_URL is {0}")]
    Amqp(#[from] InvalidAddress),
    #[error(transparent)]
    Database(#[from] DatabaseError),
    #[error(transparent)]
    Sandbox(#[from] StartError),
    #[error(transparent)]
    Fetch(#[from] fetch::StartError),
    #[error(transparent)]
    Packages(#[from] packages::StartError),
    #[error(transparent)]
    Control(#[from] TokenError),
    #[error("port {port} can't be listened on: {error}")]
    Listen { port: u16, error: io::Error },
}

/// A worker that is ready to take on runs.
pub struct Worker {
    fleet: Arc<Fleet>,
    broker: Broker,
    database: Database,
    listener: TcpListener,
    router: Router,
    config: Config,
}

impl Worker {
    /// Starts the sandboxes and the connections. `stopping` begins the drain; `metrics` is what `/metrics` shows.
    pub async fn start(
        config: Config,
        stopping: CancellationToken,
        metrics: PrometheusHandle,
    ) -> Result<Self, ServeError> {
        let listener = listen(config.port).await?;
        let broker = Broker::connect(config.amqp.url.expose(), "worker")?;
        let publishing = Broker::connect(config.amqp.url.expose(), "worker publisher")?;
        let dead_letters = Publisher::new(publishing, Topology::prefixed(&config.amqp.prefix));
        let database = Database::new(&config.database.url, config.database.pool_size, lease::PREPARED)?;
        let plane_tokens =
            Arc::new(PlaneTokens::new(config.control_service.clone(), Arc::clone(&config.signing_keys))?);
        let fetcher = Fetcher::new(FetchConfig::new(config.api_base_url.clone(), config.exceptions.clone()))?;
        let slots = usize::from(config.concurrency);
        let pool_config = PoolConfig {
            strict: config.sandbox_strict,
            ..PoolConfig::new(slots, config.limits.memory_bytes, Arc::new(fetcher))
        };
        let pool = Pool::start(pool_config).await?;
        let preparation = Preparation {
            builds: Builds::new(database.clone()),
            keyring: Arc::clone(&config.keyring),
            plane_tokens: Arc::clone(&plane_tokens),
            limits: config.limits,
            api_base_url: config.sdk_base_url(),
        };
        let worker_id = worker_id();
        tracing::info!(%worker_id, slots, "ready to take on runs");
        let claims = Claims::new(database.clone(), &worker_id);
        let runner = Runner::new(claims, Arc::clone(&pool), preparation, stopping);
        let fleet = Arc::new(Fleet::new(runner, dead_letters));
        let router = http::router(Arc::new(ServerState {
            keys: Arc::clone(&config.signing_keys),
            nonces: Nonces::Database(Box::new(database.clone())),
            pool,
            limits: config.limits,
            api_base_url: config.sdk_base_url(),
            plane_tokens,
            packages: config.packages.clone().map(Packages::new).transpose()?,
            connections: connections(&fleet, &broker),
            metrics,
        }));
        Ok(Self { fleet, broker, database, listener, router, config })
    }

    /// Takes on runs until the drain is over.
    pub async fn run(self) {
        let topology = Topology::prefixed(&self.config.amqp.prefix);
        let queue = topology.executions.clone();
        let consumer = Consumer::new(self.broker.clone(), topology, queue, self.config.concurrency);
        let drained = CancellationToken::new();
        let server =
            axum::serve(self.listener, self.router).with_graceful_shutdown(drained.clone().cancelled_owned());
        let server = tokio::spawn(server.into_future());
        let background = async {
            tokio::join!(
                self.fleet.keep_leases(),
                self.fleet.hear_cancels(&self.database),
                Reaper::new(self.database.clone()).run(),
            )
        };
        tokio::select! {
            () = Arc::clone(&self.fleet).serve(consumer, self.config.drain_timeout) => {}
            _ = background => {}
        }
        // The endpoints answer until here, so that a drain can be watched. An `execute-sync` may still be under way.
        drained.cancel();
        if tokio::time::timeout(LAST_ANSWERS, server).await.is_err() {
            tracing::warn!("requests were cut off by the end of the drain");
        }
        self.broker.close().await;
    }
}

/// How long requests that are under way may take once the drain is over.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

/// Every address of the host, of both families where it has both.
async fn listen(port: u16) -> Result<TcpListener, ServeError> {
    match TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).await {
        Err(error) if error.kind() != io::ErrorKind::AddrInUse => {
            TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await
        }
        bound => bound,
    }
    .map_err(|error| ServeError::Listen { port, error })
}

fn connections(fleet: &Arc<Fleet>, broker: &Broker) -> Arc<dyn Fn() -> Connections + Send + Sync> {
    let (fleet, broker) = (Arc::clone(fleet), broker.clone());
    Arc::new(move || Connections {
        database: fleet.database_up.load(Ordering::Acquire),
        broker: broker.state() == ConnectionState::Connected,
    })
}

/// New for every process: an attempt's fence rests on it. Begins with the host's name, for people.
fn worker_id() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = host.trim();
    format!("{}-{}", if host.is_empty() { "worker" } else { host }, Uuid::now_v7().simple())
}
