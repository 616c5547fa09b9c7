//! `worker serve`: everything of one process, until it is told to stop.

use crate::{
    builds::Builds,
    claims::{self, Claims},
    config::Config,
    database::{Database, DatabaseError},
    fleet::Fleet,
    job::Preparation,
    plane_token::{PlaneTokens, TokenError},
    reaper,
    supervisor::{
        Pool, PoolConfig, StartError,
        fetch::{self, FetchConfig, Fetcher},
    },
};
use shared::queue::{Broker, Consumer, InvalidAddress, Topology};
use std::sync::Arc;
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
    Control(#[from] TokenError),
}

/// A worker that is ready to take on runs.
pub struct Worker {
    pub fleet: Arc<Fleet>,
    pub pool: Arc<Pool>,
    pub plane_tokens: Arc<PlaneTokens>,
    pub broker: Broker,
    pub database: Database,
    config: Config,
}

impl Worker {
    /// Starts the sandboxes and the connections. `stopping` begins the drain.
    pub async fn start(config: Config, stopping: CancellationToken) -> Result<Self, ServeError> {
        let broker = Broker::connect(config.amqp.url.expose(), "worker")?;
        let database = Database::new(&config.database.url, config.database.pool_size, claims::PREPARED)?;
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
            api_base_url: config.api_base_url.to_string(),
        };
        let worker_id = worker_id();
        tracing::info!(%worker_id, slots, "ready to take on runs");
        let claims = Claims::new(database.clone(), &worker_id);
        let fleet = Arc::new(Fleet::new(claims, Arc::clone(&pool), preparation, stopping));
        Ok(Self { fleet, pool, plane_tokens, broker, database, config })
    }

    /// Takes on runs until the drain is over.
    pub async fn run(self) {
        let topology = Topology::prefixed(&self.config.amqp.prefix);
        let queue = topology.executions.clone();
        let consumer = Consumer::new(self.broker.clone(), topology, queue, self.config.concurrency);
        let background = async {
            tokio::join!(
                self.fleet.keep_leases(),
                self.fleet.hear_cancels(&self.database),
                reaper::run(&self.database),
            )
        };
        tokio::select! {
            () = Arc::clone(&self.fleet).serve(consumer, self.config.drain_timeout) => {}
            _ = background => {}
        }
        self.broker.close().await;
    }
}

/// New for every process: an attempt's fence rests on it. Begins with the host's name, for people.
fn worker_id() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = host.trim();
    format!("{}-{}", if host.is_empty() { "worker" } else { host }, Uuid::now_v7().simple())
}
