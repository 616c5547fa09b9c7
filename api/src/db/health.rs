//! Counts for the health endpoints and the gauges.

use sqlx::PgPool;
use uuid::Uuid;

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

/// A workspace with due outbox rows that are not published.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WaitingWorkspace {
    pub workspace_id: Uuid,
    pub rows: i64,
    /// Age of the oldest row, in seconds.
    pub oldest_s: f64,
    /// Rows that the workspace's limit lets it publish now. `None` without a limit.
    pub publishable: Option<i64>,
    /// Row that the relay takes next. `None` without a limit.
    pub next_row: Option<i64>,
}

/// Lists the workspaces with due rows. `workspace_limit` is the limit of those without one of their own; 0 is no limit.
/// The indexes of unpublished and of published rows cover the query.
pub(crate) async fn waiting_workspaces(
    pool: &PgPool,
    workspace_limit: i64,
) -> Result<Vec<WaitingWorkspace>, sqlx::Error> {
    sqlx::query_file_as!(WaitingWorkspace, "src/db/waiting_workspaces.sql", workspace_limit)
        .fetch_all(pool)
        .await
}

/// Counts workers, as in [`Load`].
pub(crate) async fn workers(pool: &PgPool) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT count(*) AS "workers!" FROM workers
           WHERE last_seen_at > now() - interval '30 seconds' AND NOT draining"#
    )
    .fetch_one(pool)
    .await
}

/// Runs a query without tables: an error if the database does not answer.
pub(crate) async fn ping(pool: &PgPool) -> Result<(), sqlx::Error> {
    sqlx::query!("SELECT 1 AS one").fetch_one(pool).await.map(drop)
}
