//! The worker's connections to PostgreSQL.
//!
//! Invariant: no statement waits forever. The server ends statements that run too long, TCP detects a connection that
//! went silent, and a connection that failed is not used again.

mod listen;
mod tls;

pub(crate) use listen::{Notification, listen};

use deadpool_postgres::{
    Hook, HookError, Manager, ManagerConfig, Pool, PoolError, RecyclingMethod, Runtime, TimeoutType, Timeouts,
};
use shared::config::Secret;
use std::{error::Error as _, time::Duration};
use tls::{InvalidUrl, Target};

/// Limits the wait for a connection, free or new, in seconds.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// Limits the time, in seconds, for which the server's kernel may leave sent data unacknowledged.
const TCP_TIMEOUT: Duration = Duration::from_secs(10);
/// Session settings. They limit a statement to 10 s and its wait for a lock to 5 s. The worker's statements take
/// milliseconds. Statements are planned once, since planning a claim takes longer than the claim. They are planned with
/// indexes, since a plan made while the outbox is empty would scan all of it when it is full.
const SETTINGS: &str = "-c statement_timeout=10s -c lock_timeout=5s -c jit=off -c enable_seqscan=off \
    -c plan_cache_mode=force_generic_plan";

/// Reason why a statement failed, or could not be sent.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    #[error(transparent)]
    InvalidUrl(#[from] InvalidUrl),
    /// The server is unreachable or refuses the connection, or all connections of the pool are in use.
    #[error("no database connection: {}", describe_pool(.0))]
    Pool(#[from] PoolError),
    /// The claim reached the disk so late that the reaper may have queued the execution again.
    #[error("the claim was not on disk within {} s", .0.as_secs())]
    FlushTimeout(Duration),
    /// The server returned an error, or the connection was lost.
    #[error("database: {}", describe(.0))]
    Statement(#[from] tokio_postgres::Error),
}

impl DatabaseError {
    /// Tells whether the same statement may succeed later. It may not if the server reports that the statement itself
    /// is wrong.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::InvalidUrl(_) => false,
            Self::Pool(_) | Self::FlushTimeout(_) => true,
            // Classes 22 and 23: the data does not fit, or a constraint forbids it. 42: the statement is wrong.
            // 54: a limit of the program is exceeded, such as that on nesting.
            Self::Statement(error) => error.code().is_none_or(|state| {
                !["22", "23", "42", "54"].iter().any(|class| state.code().starts_with(class))
            }),
        }
    }

    /// Tells whether the server rejected the user, the password or the database of `DATABASE_URL`: 28000, 28P01 and
    /// 3D000. It would reject them again.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        let error = match self {
            Self::Statement(error) => Some(error),
            Self::Pool(error) => server_error(error),
            Self::InvalidUrl(_) | Self::FlushTimeout(_) => None,
        };
        let code = error.and_then(tokio_postgres::Error::code);
        code.is_some_and(|state| ["28000", "28P01", "3D000"].contains(&state.code()))
    }
}

/// Returns the error of the server, or of the connection to it, because of which the pool has no connection.
const fn server_error(error: &PoolError) -> Option<&tokio_postgres::Error> {
    match error {
        PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)) => Some(error),
        _ => None,
    }
}

/// Returns the reason why the pool has no connection: its own `Display` omits it.
fn describe_pool(error: &PoolError) -> String {
    let seconds = ACQUIRE_TIMEOUT.as_secs();
    match (error, server_error(error)) {
        (_, Some(error)) => describe(error),
        (PoolError::Timeout(TimeoutType::Wait), _) => {
            format!("all connections of this process (DATABASE_POOL_SIZE) were in use for {seconds} s")
        }
        (PoolError::Timeout(_), _) => format!("the server did not answer within {seconds} s"),
        _ => error.to_string(),
    }
}

/// Returns the server's message and code: the error's `Display` has only its kind.
fn describe(error: &tokio_postgres::Error) -> String {
    error.as_db_error().map_or_else(
        || error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {source}")),
        |answer| format!("{} ({})", answer.message(), answer.code().code()),
    )
}

/// Pool of connections to one database.
#[derive(Clone, Debug)]
pub struct Database {
    pool: Pool,
    target: Target,
}

impl Database {
    /// Creates a pool that connects when it is first used, so that a worker starts while the database is unreachable.
    /// The statements of `prepared` are prepared on every new connection, ahead of their first use.
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
            .keepalives_idle(TCP_TIMEOUT)
            .tcp_user_timeout(TCP_TIMEOUT);
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
            .expect("building fails only without a runtime, and one is given");
        Ok(Self { pool, target })
    }

    /// Returns the number of connections, and how many of them are idle.
    pub fn connections(&self) -> (usize, usize) {
        let status = self.pool.status();
        (status.size, status.available)
    }

    /// Returns a connection for one or a few statements.
    pub async fn connection(&self) -> Result<deadpool_postgres::Object, DatabaseError> {
        Ok(self.pool.get().await?)
    }
}
