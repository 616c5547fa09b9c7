//! The lease that lets one process at a time do maintenance, and the time of its last success.

use sqlx::PgPool;
use std::time::Duration;
use uuid::Uuid;

/// Takes or renews the lease that lets one process do maintenance. Returns false if another process has it.
///
/// The lease is a row, not an advisory lock, which would belong to a session: the lease spans many transactions, and
/// holds behind a pooler that gives each transaction another session.
pub async fn take_lease(pool: &PgPool, holder: Uuid, lease: Duration) -> sqlx::Result<bool> {
    // A lease that ends later than any lease can was taken before the database's clock was set back.
    let taken = sqlx::query!(
        "UPDATE maintenance SET holder = $1, lease_expires_at = now() + make_interval(secs => $2)
         WHERE holder IS NULL OR holder = $1
             OR lease_expires_at NOT BETWEEN now() AND now() + make_interval(secs => $2)",
        holder,
        lease.as_secs_f64()
    )
    .execute(pool)
    .await?;
    Ok(taken.rows_affected() == 1)
}

/// Releases the lease, and records the time if all steps succeeded.
pub async fn end_lease(pool: &PgPool, holder: Uuid, is_complete: bool) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE maintenance SET holder = NULL, lease_expires_at = NULL,
             succeeded_at = CASE WHEN $2 THEN now() ELSE succeeded_at END
         WHERE holder = $1",
        holder,
        is_complete
    )
    .execute(pool)
    .await
    .map(drop)
}

/// The lag of maintenance.
#[derive(Clone, Copy, Debug)]
pub struct Lag {
    /// Seconds since all steps last succeeded.
    pub age_s: f64,
    /// Seconds from now for which every execution has a partition; at most 70 days.
    pub ahead_s: f64,
}

/// Measures the lag of maintenance.
pub async fn lag(pool: &PgPool) -> sqlx::Result<Lag> {
    sqlx::query_as!(
        Lag,
        r#"WITH parts AS (
             SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
             WHERE inhparent IN ('script_executions'::regclass, 'execution_logs'::regclass) AND NOT inhdetachpending
         ), uncovered AS (
             SELECT min(week) AS week
             FROM generate_series(date_trunc('week', now() AT TIME ZONE 'UTC'),
                 (now() AT TIME ZONE 'UTC') + interval '70 days', interval '7 days') AS week
             WHERE 2 > (SELECT count(*) FROM parts
                        WHERE relname IN ('script_executions_' || to_char(week, 'YYYYMMDD'),
                            'execution_logs_' || to_char(week, 'YYYYMMDD')))
         )
         SELECT extract(epoch FROM now() - succeeded_at)::float8 AS "age_s!",
             greatest(0, coalesce(extract(epoch FROM week AT TIME ZONE 'UTC' - now()), 70 * 86400))::float8 AS "ahead_s!"
         FROM maintenance, uncovered"#
    )
    .fetch_one(pool)
    .await
}
