//! The worker's connections to PostgreSQL.
//!
//! Invariant: no statement waits without end. The server ends what runs too long, a connection that went silent is
//! noticed by TCP, and one that failed is not used again.

mod listen;
mod tls;

pub use listen::{Notification, listen};

use deadpool_postgres::{Hook, HookError, Manager, ManagerConfig, Pool, RecyclingMethod, Runtime, Timeouts};
use shared::config::Secret;
use std::time::Duration;
use tls::{InvalidUrl, Target};

/// Longest wait for a connection, a free one or a new one.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest time without an answer of the server's kernel to what we sent.
const SILENCE: Duration = Duration::from_secs(10);
/// Longest time of one statement, enforced by the server; all of ours take milliseconds. Planned once, since planning a
/// claim anew takes longer than the claim; and by indexes, since a plan made while the outbox is empty would read all of
/// it when it is full.
const SETTINGS: &str = "-c statement_timeout=10s -c lock_timeout=5s -c jit=off -c enable_seqscan=off \
    -c plan_cache_mode=force_generic_plan";

/// Why there is no database to talk to.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    #[error(transparent)]
    InvalidUrl(#[from] InvalidUrl),
    /// No connection: the server is away, or all are in use.
    #[error("no database connection: {0}")]
    Pool(#[from] deadpool_postgres::PoolError),
    /// The server's disk took so long that the reaper may have taken the execution that was claimed.
    #[error("the claim was not on disk within {} s", .0.as_secs())]
    FlushTimeout(Duration),
    /// What the server answered, or that the connection was lost.
    #[error("database: {}", describe(.0))]
    Statement(#[from] tokio_postgres::Error),
}

impl DatabaseError {
    /// Whether the same statement may succeed later: everything but an answer of the server that the statement
    /// itself is wrong.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::InvalidUrl(_) => false,
            Self::Pool(_) | Self::FlushTimeout(_) => true,
            // Classes 22 and 23: the data does not fit, or a constraint forbids it. 42: the statement is wrong.
            // 54: a limit of the program is met, such as that on nesting.
            Self::Statement(error) => error.code().is_none_or(|state| {
                !["22", "23", "42", "54"].iter().any(|class| state.code().starts_with(class))
            }),
        }
    }
}

/// The server's own words; the error's display has only its kind.
fn describe(error: &tokio_postgres::Error) -> String {
    error
        .as_db_error()
        .map_or_else(|| error.to_string(), |told| format!("{} ({})", told.message(), told.code().code()))
}

/// Connections to one database.
#[derive(Clone, Debug)]
pub struct Database {
    pool: Pool,
    target: Target,
}

impl Database {
    /// A pool that connects when it is first used, so that a worker starts while the database is away.
    /// `prepared` are statements prepared on every new connection, ahead of their first use.
    pub fn new(
        url: &Secret,
        connections: usize,
        prepared: &'static [&'static str],
    ) -> Result<Self, DatabaseError> {
        let mut target = Target::parse(url.expose())?;
        target
            .config
            .application_name("runnerctl-worker")
            .options(SETTINGS)
            .connect_timeout(ACQUIRE_TIMEOUT)
            .keepalives_idle(SILENCE)
            .tcp_user_timeout(SILENCE);
        let fast = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = Manager::from_config(target.config.clone(), target.tls.clone(), fast);
        let timeouts = Timeouts {
            wait: Some(ACQUIRE_TIMEOUT),
            create: Some(ACQUIRE_TIMEOUT),
            recycle: Some(ACQUIRE_TIMEOUT),
        };
        let prepare = Hook::async_fn(move |client: &mut deadpool_postgres::ClientWrapper, _| {
            Box::pin(async move {
                for statement in prepared {
                    client.prepare_cached(statement).await.map_err(HookError::Backend)?;
                }
                Ok(())
            })
        });
        let pool = Pool::builder(manager)
            .max_size(connections)
            .runtime(Runtime::Tokio1)
            .timeouts(timeouts)
            .post_create(prepare)
            .build()
            .expect("a runtime is given, which is all that building can miss");
        Ok(Self { pool, target })
    }

    /// How many connections there are, and how many of them are idle.
    pub fn connections(&self) -> (usize, usize) {
        let status = self.pool.status();
        (status.size, status.available)
    }

    /// A connection for one or a few statements.
    pub async fn connection(&self) -> Result<deadpool_postgres::Object, DatabaseError> {
        Ok(self.pool.get().await?)
    }
}
