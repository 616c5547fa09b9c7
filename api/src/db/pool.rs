//! The connection pools and the schema.
//!
//! Invariant: no request waits for the database without end. Waiting for a connection has a time limit, and so has
//! every statement. A request that exceeds one is answered 503.
//!
//! Invariant: lists and probes have connections of their own. However slow lists are, other requests get connections,
//! and `/readyz` reports on the database, not on lists.

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

/// Longest wait for a free connection, in seconds; then the answer is 503.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
/// Longest time of one statement, enforced by the server.
const STATEMENT_TIMEOUT: &str = "10s";
/// Longest time of one statement of a list or a probe.
const SHORT_STATEMENT_TIMEOUT: &str = "3s";
/// Share of the connections that read lists: one in this many.
const LISTS_FRACTION: u32 = 4;
/// Fewest connections of other requests. Firing a schedule holds one while it queries on another.
const MIN_FOR_REQUESTS: u32 = 2;

/// Settings of the connections that read lists, beside their time limit.
///
/// A statement of a list is written so that one plan is right for all values. Planning it again each time would take
/// three times as long as reading, since the table has many partitions. A plan is kept while a new partition grows, so
/// it must not read a whole partition because it is small at first.
const LIST_SETTINGS: [(&str, &str); 4] = [
    ("plan_cache_mode", "force_generic_plan"),
    ("enable_seqscan", "off"),
    ("enable_bitmapscan", "off"),
    ("jit", "off"),
];
/// Idle time, in seconds, after which a connection is pinged before it is used: the server may have been restarted.
const IDLE_PING_AFTER: Duration = Duration::from_secs(1);

/// Reads `DATABASE_URL`.
pub(crate) fn connect_options(url: &Secret) -> Result<PgConnectOptions, sqlx::Error> {
    let options: PgConnectOptions = url.expose().parse()?;
    Ok(options.application_name("runnerctl-api"))
}

/// Error of a `DATABASE_URL` whose user, password or database the server rejects.
#[derive(Debug, thiserror::Error)]
#[error("{message} ({code})")]
pub(crate) struct RefusedUrl {
    message: String,
    code: String,
}

/// Connects once. Fails only if the server rejects the user, the password or the database, which it would do again:
/// 28000, 28P01 and 3D000.
pub(crate) async fn check_url(url: &Secret) -> Result<(), RefusedUrl> {
    let Ok(options) = connect_options(url) else { return Ok(()) };
    match sqlx::PgConnection::connect_with(&options).await {
        Err(sqlx::Error::Database(error)) => match error.code() {
            Some(code) if ["28000", "28P01", "3D000"].contains(&&*code) => {
                Err(RefusedUrl { message: error.message().to_owned(), code: code.into_owned() })
            }
            _ => Ok(()),
        },
        Ok(connection) => connection.close().await.or(Ok(())),
        Err(_) => Ok(()),
    }
}

/// The time at which the database was last known to be lost.
///
/// The connection that listens notices at once; a pooled connection would only fail its next request.
#[derive(Debug, Default)]
pub struct Outage(Mutex<Option<Instant>>);

impl Outage {
    /// Records that a connection was lost: all others are pinged before they are used again.
    pub fn record(&self) {
        *self.lock() = Some(Instant::now());
    }

    /// Tells whether a connection was idle when the database was lost.
    fn affects(&self, idle_for: Duration) -> bool {
        self.lock().is_some_and(|noted| noted.elapsed() <= idle_for)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The connection pools of a process that serves, by purpose.
#[derive(Debug)]
pub struct Pools {
    pub requests: PgPool,
    pub lists: PgPool,
    /// A single connection, for health probes.
    pub probes: PgPool,
}

/// Divides the connections of a process. Like [`pool`], each part connects when it is first used.
pub fn pools(config: &DatabaseConfig, outage: &Arc<Outage>) -> Result<Pools, sqlx::Error> {
    let options = connect_options(&config.url)?;
    let short = [("statement_timeout", SHORT_STATEMENT_TIMEOUT)];
    let lists = list_connections(config.pool_size);
    let requests = (config.pool_size - lists).max(MIN_FOR_REQUESTS);
    Ok(Pools {
        requests: lazy_pool(
            options.clone().options([("statement_timeout", STATEMENT_TIMEOUT)]),
            requests,
            outage,
        ),
        lists: lazy_pool(options.clone().options(short).options(LIST_SETTINGS), lists, outage),
        probes: lazy_pool(options.options(short), 1, outage),
    })
}

/// Returns the number of connections, out of `pool_size`, that read lists.
const fn list_connections(pool_size: u32) -> u32 {
    if pool_size < LISTS_FRACTION { 1 } else { pool_size / LISTS_FRACTION }
}

/// Returns a pool that connects when it is first used, so that the api starts while the database is unavailable.
pub(crate) fn pool(config: &DatabaseConfig, outage: &Arc<Outage>) -> Result<PgPool, sqlx::Error> {
    let options = connect_options(&config.url)?.options([("statement_timeout", STATEMENT_TIMEOUT)]);
    Ok(lazy_pool(options, config.pool_size, outage))
}

fn lazy_pool(options: PgConnectOptions, max_connections: u32, outage: &Arc<Outage>) -> PgPool {
    let outage = outage.clone();
    PgPoolOptions::new()
        .max_connections(max_connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .test_before_acquire(false)
        .after_connect(|connection, _| {
            Box::pin(async move {
                // No id is made before this. The server may have been replaced by one with another clock.
                let now = sqlx::query_scalar!(r#"SELECT clock_timestamp() AS "now!""#).fetch_one(connection);
                execution_ids::set_clock(now.await?);
                Ok(())
            })
        })
        .before_acquire(move |connection, meta| {
            let may_be_broken = meta.idle_for > IDLE_PING_AFTER || outage.affects(meta.idle_for);
            Box::pin(async move {
                if may_be_broken {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .connect_lazy_with(options)
}

/// Tells whether an execution was rejected because there is no partition for its id: the partition is about to be made,
/// see [`crate::background::retention`], or the database's clock has jumped. A row that violates a constraint has the
/// same code, but names the constraint.
pub(crate) fn lacks_partition(error: &dyn DatabaseError) -> bool {
    error.code().is_some_and(|code| code == "23514") && error.constraint().is_none()
}

/// Migrates the schema to the version that this build expects. Several processes may run it at once. Migrations of a
/// newer version stay applied: they only expand, and a rollback to this version must be possible.
pub(crate) async fn migrate(url: &Secret) -> Result<(), MigrateError> {
    let mut connection = sqlx::PgConnection::connect_with(&connect_options(url)?).await?;
    let mut migrations = sqlx::migrate!("../migrations");
    migrations.set_ignore_missing(true).run(&mut connection).await
}
