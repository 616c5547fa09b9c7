//! Keeps the tables in shape: partitions ahead of time, history dropped by age.
//!
//! Invariant: history goes by whole partitions, and a partition goes only when everything in it is older than the
//! retention and none of it is still to be run. Only the few rows that a wrong clock put outside all weeks go one by one.

use shared::backoff::Backoff;
use sqlx::PgPool;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Partitions are weeks; this often is far more than enough, and still finds a long outage quickly.
const INTERVAL: Duration = Duration::from_mins(10);
/// How long idempotency keys are remembered. Longer than any broker or client repeats itself.
const KEYS_KEPT: Duration = Duration::from_hours(7 * 24);
/// Signed requests older than the clock skew are refused by their timestamp alone.
const NONCES_KEPT: Duration = Duration::from_secs(2 * shared::signing::CLOCK_SKEW_S);

/// Looks after the tables until told to stop. `keep` is the age at which executions and their logs go; `None` keeps
/// them.
pub async fn run(pool: PgPool, keep: Option<Duration>, shutdown: CancellationToken) {
    let mut interval = Backoff::new(INTERVAL, INTERVAL);
    loop {
        if let Err(error) = tend(&pool, keep).await {
            tracing::warn!(%error, "the tables could not be looked after");
        }
        if shutdown.run_until_cancelled(interval.wait()).await.is_none() {
            return;
        }
    }
}

/// One round. Several processes may do it at the same time.
pub async fn tend(pool: &PgPool, keep: Option<Duration>) -> sqlx::Result<()> {
    let mut transaction = pool.begin().await?;
    let ours = sqlx::query_scalar!(
        r#"SELECT pg_try_advisory_xact_lock(hashtext('runnerctl retention')) AS "ours!""#
    )
    .fetch_one(&mut *transaction)
    .await?;
    if !ours {
        return Ok(());
    }
    // Dropping waits for readers, and everybody else then waits for the drop: rather try again in a while.
    sqlx::query!("SET LOCAL lock_timeout = '2s'").execute(&mut *transaction).await?;
    sqlx::query_scalar!("SELECT create_execution_partitions(now(), now() + interval '28 days')")
        .fetch_one(&mut *transaction)
        .await?;
    if let Some(keep) = keep {
        let dropped = sqlx::query_scalar!(
            "SELECT drop_execution_partitions(now() - make_interval(secs => $1))",
            keep.as_secs_f64()
        )
        .fetch_one(&mut *transaction)
        .await?;
        if dropped.is_some_and(|dropped| dropped > 0) {
            tracing::info!(partitions = dropped, "history was dropped");
        }
        sqlx::query_scalar!(
            "SELECT delete_misfit_executions(now() - make_interval(secs => $1))",
            keep.as_secs_f64()
        )
        .fetch_one(&mut *transaction)
        .await?;
    }
    sqlx::query!(
        "DELETE FROM idempotency_keys WHERE created_at < now() - make_interval(secs => $1)",
        KEYS_KEPT.as_secs_f64()
    )
    .execute(&mut *transaction)
    .await?;
    sqlx::query!(
        "DELETE FROM request_nonces WHERE seen_at < now() - make_interval(secs => $1)",
        NONCES_KEPT.as_secs_f64()
    )
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await
}
