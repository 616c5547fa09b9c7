//! Deletes old rows in batches, from tables without partitions.

use chrono::{DateTime, Utc};
use sqlx::PgPool;
use std::time::Duration;

/// The result of deleting one batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pruned {
    pub rows: i64,
    /// Time of the newest deleted row. The next batch starts there, so that it does not scan the dead rows of this one.
    pub until: Option<DateTime<Utc>>,
}

/// A table whose rows are deleted by age.
#[derive(Clone, Copy, Debug)]
pub(crate) enum PrunedTable {
    IdempotencyKeys,
    RequestNonces,
    DeadLetters,
}

/// Deletes at most `limit` rows that are older than `age`, the oldest first, from `since` on.
pub(crate) async fn prune(
    pool: &PgPool,
    what: PrunedTable,
    age: Duration,
    since: Option<DateTime<Utc>>,
    limit: i64,
) -> sqlx::Result<Pruned> {
    match what {
        PrunedTable::IdempotencyKeys => prune_keys(pool, age, since, limit).await,
        PrunedTable::RequestNonces => prune_nonces(pool, age, since, limit).await,
        PrunedTable::DeadLetters => prune_letters(pool, age, since, limit).await,
    }
}

async fn prune_keys(
    pool: &PgPool,
    age: Duration,
    since: Option<DateTime<Utc>>,
    limit: i64,
) -> sqlx::Result<Pruned> {
    sqlx::query_as!(
        Pruned,
        r#"WITH gone AS (
             DELETE FROM idempotency_keys WHERE ctid = ANY (ARRAY(
                 SELECT ctid FROM idempotency_keys
                 WHERE created_at >= coalesce($2::timestamptz, '-infinity') AND created_at < now() - make_interval(secs => $1)
                 ORDER BY created_at LIMIT $3))
             RETURNING created_at)
         SELECT count(*) AS "rows!", max(created_at) AS until FROM gone"#,
        age.as_secs_f64(),
        since,
        limit
    )
    .fetch_one(pool)
    .await
}

async fn prune_nonces(
    pool: &PgPool,
    age: Duration,
    since: Option<DateTime<Utc>>,
    limit: i64,
) -> sqlx::Result<Pruned> {
    sqlx::query_as!(
        Pruned,
        r#"WITH gone AS (
             DELETE FROM request_nonces WHERE ctid = ANY (ARRAY(
                 SELECT ctid FROM request_nonces
                 WHERE seen_at >= coalesce($2::timestamptz, '-infinity') AND seen_at < now() - make_interval(secs => $1)
                 ORDER BY seen_at LIMIT $3))
             RETURNING seen_at)
         SELECT count(*) AS "rows!", max(seen_at) AS until FROM gone"#,
        age.as_secs_f64(),
        since,
        limit
    )
    .fetch_one(pool)
    .await
}

async fn prune_letters(
    pool: &PgPool,
    age: Duration,
    since: Option<DateTime<Utc>>,
    limit: i64,
) -> sqlx::Result<Pruned> {
    sqlx::query_as!(
        Pruned,
        r#"WITH gone AS (
             DELETE FROM dead_letters WHERE ctid = ANY (ARRAY(
                 SELECT ctid FROM dead_letters
                 WHERE created_at >= coalesce($2::timestamptz, '-infinity') AND created_at < now() - make_interval(secs => $1)
                 ORDER BY created_at LIMIT $3))
             RETURNING created_at)
         SELECT count(*) AS "rows!", max(created_at) AS until FROM gone"#,
        age.as_secs_f64(),
        since,
        limit
    )
    .fetch_one(pool)
    .await
}
