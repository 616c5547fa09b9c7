//! The connection pool and the schema.
//!
//! Invariant: no request waits for the database without end. Getting a connection, and every statement, has a
//! limit; what overruns it is answered 503.

use crate::{config::DatabaseConfig, model::execution_ids};
use shared::config::Secret;
use sqlx::{
    Connection, PgPool,
    error::DatabaseError,
    migrate::MigrateError,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Longest wait for a free connection, before the answer is 503.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
/// Longest time of one statement, enforced by the server.
const STATEMENT_TIMEOUT: &str = "10s";
/// A connection that was idle for this long is tried before it is used: the server may have been restarted.
const TRY_AFTER_IDLE: Duration = Duration::from_secs(1);

/// Reads `DATABASE_URL`.
pub fn connect_options(url: &Secret) -> Result<PgConnectOptions, sqlx::Error> {
    let options: PgConnectOptions = url.expose().parse()?;
    Ok(options.application_name("runnerctl-api"))
}

/// When the database was last known to have gone away.
///
/// The one connection that listens notices at once; a pooled connection would only fail its next request.
#[derive(Debug, Default)]
pub struct Outage(Mutex<Option<Instant>>);

impl Outage {
    /// Notes that a connection was lost: all others are tried before they are used again.
    pub fn note(&self) {
        *self.lock() = Some(Instant::now());
    }

    /// Whether a connection was idle while the database went away.
    fn concerns(&self, idle_for: Duration) -> bool {
        self.lock().is_some_and(|noted| noted.elapsed() <= idle_for)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A pool that connects when it is first used, so that the api starts while the database is away.
pub fn pool(config: &DatabaseConfig, outage: &Arc<Outage>) -> Result<PgPool, sqlx::Error> {
    let options = connect_options(&config.url)?.options([("statement_timeout", STATEMENT_TIMEOUT)]);
    let outage = outage.clone();
    Ok(PgPoolOptions::new()
        .max_connections(config.pool_size)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .test_before_acquire(false)
        .after_connect(|connection, _| {
            Box::pin(async move {
                // No id is made before; and the server may be another than it was, with another clock.
                let now = sqlx::query_scalar!(r#"SELECT clock_timestamp() AS "now!""#).fetch_one(connection);
                execution_ids::follow(now.await?);
                Ok(())
            })
        })
        .before_acquire(move |connection, meta| {
            let doubtful = meta.idle_for > TRY_AFTER_IDLE || outage.concerns(meta.idle_for);
            Box::pin(async move {
                if doubtful {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .connect_lazy_with(options))
}

/// Tells that an execution was refused because there is no partition for its id: the week is about to be made, see
/// [`crate::background::retention`], or the database's clock has jumped. A row that breaks a constraint has the same code and names it.
pub fn lacks_partition(error: &dyn DatabaseError) -> bool {
    error.code().is_some_and(|code| code == "23514") && error.constraint().is_none()
}

/// Brings the schema to what this build expects; safe to run from several processes at once. Migrations of a newer
/// version may stand: they only expand, and going back to this version must be possible.
pub async fn migrate(url: &Secret) -> Result<(), MigrateError> {
    let mut connection = sqlx::PgConnection::connect_with(&connect_options(url)?).await?;
    let mut migrations = sqlx::migrate!("../migrations");
    migrations.set_ignore_missing(true).run(&mut connection).await
}
