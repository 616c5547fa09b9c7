//! What the health answers tell.

use sqlx::PgPool;

/// Queue and workers, over all workspaces.
#[derive(Debug)]
pub struct Load {
    pub queued: i64,
    pub workers: i64,
    pub slots: i64,
    pub busy: i64,
}

/// Counts what waits and who works. A worker that was not seen for 30 s does not count.
pub async fn load(pool: &PgPool) -> Result<Load, sqlx::Error> {
    sqlx::query_as!(
        Load,
        r#"SELECT (SELECT count(*) FROM outbox) AS "queued!", count(*) AS "workers!",
                  coalesce(sum(slots), 0) AS "slots!", coalesce(sum(busy), 0) AS "busy!"
           FROM workers WHERE last_seen_at > now() - interval '30 seconds' AND NOT draining"#
    )
    .fetch_one(pool)
    .await
}

/// Whether the database answers.
pub async fn ping(pool: &PgPool) -> Result<(), sqlx::Error> {
    sqlx::query!("SELECT 1 AS one").fetch_one(pool).await.map(drop)
}
