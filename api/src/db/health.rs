//! Counts for the health endpoints and the gauges.

use sqlx::PgPool;

/// The queue and the workers, over all workspaces.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    pub queued: i64,
    pub workers: i64,
    pub slots: i64,
    pub busy: i64,
}

/// Counts outbox rows and workers. A worker that was not seen for 30 s does not count.
pub(crate) async fn load(pool: &PgPool) -> Result<Load, sqlx::Error> {
    sqlx::query_as!(
        Load,
        r#"SELECT (SELECT count(*) FROM outbox) AS "queued!", count(*) AS "workers!",
                  coalesce(sum(slots), 0) AS "slots!", coalesce(sum(busy), 0) AS "busy!"
           FROM workers WHERE last_seen_at > now() - interval '30 seconds' AND NOT draining"#
    )
    .fetch_one(pool)
    .await
}

/// Outbox rows that wait to be published, and workers.
#[derive(Debug)]
pub(crate) struct Backlog {
    /// Outbox rows that are due and not published.
    pub rows: i64,
    /// Seconds for which the oldest of them has been due.
    pub oldest_s: f64,
    /// Workers, counted as in [`Load`].
    pub workers: i64,
}

/// Counts the due rows. The index `outbox_due` covers the query.
pub(crate) async fn backlog(pool: &PgPool) -> Result<Backlog, sqlx::Error> {
    sqlx::query_as!(
        Backlog,
        r#"SELECT count(*) AS "rows!",
                  coalesce(extract(epoch FROM now() - min(available_at)), 0)::float8 AS "oldest_s!",
                  (SELECT count(*) FROM workers
                   WHERE last_seen_at > now() - interval '30 seconds' AND NOT draining) AS "workers!"
           FROM outbox WHERE published_at IS NULL AND available_at <= now()"#
    )
    .fetch_one(pool)
    .await
}

/// Runs a query without tables: an error if the database does not answer.
pub(crate) async fn ping(pool: &PgPool) -> Result<(), sqlx::Error> {
    sqlx::query!("SELECT 1 AS one").fetch_one(pool).await.map(drop)
}
