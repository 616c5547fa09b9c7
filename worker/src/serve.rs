//! `worker serve`: starts all parts of one worker process, and runs them until the drain is over.

use crate::{
    config::Config,
    consumer::ExecutionConsumer,
    db::{Database, DatabaseError},
    execution::{
        Preparation, Runner,
        builds::Builds,
        plane_token::{PlaneTokens, TokenError},
    },
    http::{self, Connections, Nonces, Readiness, ServerState},
    lease::{self, Claims, reaper::Reaper},
    supervisor::{
        Pool, PoolConfig, PoolStartError,
        fetch::{self, FetchConfig, Fetcher},
    },
};
use axum::Router;
use metrics_exporter_prometheus::PrometheusHandle;
use packages::Packages;
use shared::{
    amqp::{Broker, ConnectionState, Consumer, InvalidAddress, Publisher, RefusedAddress, Topology},
    http::{
        BodyBudget,
        server::{self, ServerLimits},
    },
};
use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr},
    sync::{Arc, PoisonError, atomic::Ordering},
    time::Duration,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Reason why a worker can't start. It starts while the broker or the database is unreachable.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("AMQP_URL is {0}")]
    Amqp(#[from] InvalidAddress),
    #[error(transparent)]
    Database(#[from] DatabaseError),
    #[error("DATABASE_URL can never work: {0}")]
    RefusedDatabase(DatabaseError),
    #[error("AMQP_URL can never work: {0}")]
    RefusedBroker(#[from] RefusedAddress),
    #[error(transparent)]
    Sandbox(#[from] PoolStartError),
    #[error(transparent)]
    Fetch(#[from] fetch::StartError),
    #[error(transparent)]
    Packages(#[from] packages::StartError),
    #[error(transparent)]
    Control(#[from] TokenError),
    #[error("can't listen on port {port}: {error}")]
    Listen { port: u16, error: io::Error },
}

/// Worker that is ready to take on executions.
pub struct Worker {
    consumer: Arc<ExecutionConsumer>,
    broker: Broker,
    database: Database,
    listener: TcpListener,
    router: Router,
    config: Config,
}

impl Worker {
    /// Starts the sandboxes and the connections. Cancelling `stopping` begins the drain. `/metrics` renders `metrics`.
    pub async fn start(
        config: Config,
        stopping: CancellationToken,
        metrics: PrometheusHandle,
    ) -> Result<Self, ServeError> {
        let listener = listen(config.port).await?;
        let broker = Broker::connect(config.amqp.url.expose(), "worker")?;
        let publishing = Broker::connect(config.amqp.url.expose(), "worker publisher")?;
        let dead_letters = Publisher::new(publishing, Topology::with_prefix(&config.amqp.prefix));
        let database = Database::new(&config.database.url, config.database.pool_size, lease::PREPARED)?;
        let plane_tokens =
            Arc::new(PlaneTokens::new(config.control_service.clone(), Arc::clone(&config.signing_keys))?);
        let fetcher = Fetcher::new(FetchConfig::new(config.api_base_url.clone(), config.exceptions.clone()))?;
        let slots = usize::from(config.concurrency);
        let pool_config = PoolConfig {
            strict: config.sandbox_strict,
            ..PoolConfig::new(slots, config.limits.memory_bytes, Arc::new(fetcher))
        };
        let pool = async { Pool::start(pool_config).await.map_err(ServeError::from) };
        let (pool, ()) = tokio::try_join!(pool, check_credentials(&database, &broker))?;
        let preparation = Preparation {
            builds: Builds::new(database.clone()),
            keyring: Arc::clone(&config.keyring),
            plane_tokens: Arc::clone(&plane_tokens),
            limits: config.limits,
            api_base_url: config.sdk_base_url(),
        };
        let worker_id = worker_id();
        tracing::info!(%worker_id, slots, "the worker is ready to take on executions");
        let claims = Claims::new(database.clone(), &worker_id);
        let runner = Runner::new(claims, Arc::clone(&pool), preparation, stopping);
        let busy_time = Arc::clone(&runner.busy_time);
        let consumer = Arc::new(ExecutionConsumer::new(runner, dead_letters));
        let router = http::router(Arc::new(ServerState {
            keys: Arc::clone(&config.signing_keys),
            nonces: Nonces::new(database.clone()),
            body_budget: BodyBudget::default(),
            pool,
            busy_time,
            limits: config.limits,
            api_base_url: config.sdk_base_url(),
            plane_tokens,
            packages: config.packages.clone().map(Packages::new).transpose()?,
            connections: connections(&consumer, &broker),
            connection_error: connection_error(&consumer, &broker),
            readiness: Readiness::default(),
            metrics,
        }));
        Ok(Self { consumer, broker, database, listener, router, config })
    }

    /// Takes on executions until the drain is over.
    pub async fn run(self) {
        let topology = Topology::with_prefix(&self.config.amqp.prefix);
        let queue = topology.executions.clone();
        let messages = Consumer::new(self.broker.clone(), topology, queue, self.config.concurrency);
        let drained = CancellationToken::new();
        let limits = ServerLimits::for_process(MAX_CONNECTIONS);
        let server = server::serve(self.listener, self.router, limits, drained.clone());
        let server = tokio::spawn(server);
        let background = async {
            tokio::join!(
                self.consumer.keep_leases(),
                self.consumer.listen_for_cancels(&self.database),
                Reaper::new(self.database.clone()).run(),
            )
        };
        tokio::select! {
            () = Arc::clone(&self.consumer).serve(messages, self.config.drain_timeout) => {}
            _ = background => {}
        }
        // Until here the endpoints accept requests, so that a drain can be observed. An `execute-sync` may still be under way.
        drained.cancel();
        if tokio::time::timeout(LAST_RESPONSES_TIMEOUT, server).await.is_err() {
            tracing::warn!("HTTP requests were aborted at the end of the drain");
        }
        self.broker.close().await;
    }
}

/// Limits the open HTTP connections. Clients of a worker are probes, a metrics server and few backends, and descriptors
/// are for scripts' fetches.
const MAX_CONNECTIONS: usize = 256;
/// Limits, in seconds, how long HTTP requests under way may take once the drain is over.
const LAST_RESPONSES_TIMEOUT: Duration = Duration::from_secs(5);

/// Listens on every address of the host: of both families, or of IPv4 alone where there is no IPv6.
async fn listen(port: u16) -> Result<TcpListener, ServeError> {
    match TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).await {
        Err(error) if error.kind() != io::ErrorKind::AddrInUse => {
            TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await
        }
        bound => bound,
    }
    .map_err(|error| ServeError::Listen { port, error })
}

fn connections(
    consumer: &Arc<ExecutionConsumer>,
    broker: &Broker,
) -> Arc<dyn Fn() -> Connections + Send + Sync> {
    let (consumer, broker) = (Arc::clone(consumer), broker.clone());
    Arc::new(move || Connections {
        database: consumer.database_up.load(Ordering::Acquire),
        broker: broker.state() == ConnectionState::Connected,
    })
}

fn connection_error(
    consumer: &Arc<ExecutionConsumer>,
    broker: &Broker,
) -> Arc<dyn Fn(&'static str) -> String + Send + Sync> {
    let (consumer, broker) = (Arc::clone(consumer), broker.clone());
    Arc::new(move |name| {
        let error = match name {
            "database" => consumer.database_error.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            _ => broker.last_failure(),
        };
        error.unwrap_or_else(|| "no attempt has ended yet".to_owned())
    })
}

/// Limits, in seconds, how long the start waits for the answers of database and broker.
const CHECK_TIMEOUT: Duration = Duration::from_secs(5);

/// Fails if the database or the broker refuses this worker's user, password, database or virtual host. A server that is
/// unreachable or slow is no error: the worker connects later.
async fn check_credentials(database: &Database, broker: &Broker) -> Result<(), ServeError> {
    let database = async {
        match database.connection().await {
            Err(error) if error.is_refused() => Err(ServeError::RefusedDatabase(error)),
            _ => Ok(()),
        }
    };
    let broker = async { broker.check_address().await.map_err(ServeError::from) };
    let answers = async { tokio::try_join!(database, broker) };
    tokio::time::timeout(CHECK_TIMEOUT, answers).await.map_or(Ok(()), |checked| checked.map(drop))
}

/// Returns an id that is new for every process: the fence of attempts depends on it. It begins with the host's name, so
/// that people recognise it.
fn worker_id() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = host.trim();
    format!("{}-{}", if host.is_empty() { "worker" } else { host }, Uuid::now_v7().simple())
}
