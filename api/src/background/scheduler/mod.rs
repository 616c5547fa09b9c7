//! Fires due schedules.
//!
//! Invariant: an occurrence leads to at most one execution, even with several api processes: one transaction, under
//! the lock of the schedule's row, advances the schedule and submits the execution.

mod fire;

use shared::backoff::Backoff;
use sqlx::PgPool;
use std::{sync::Arc, time::Duration};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Seconds between two rounds, and so the usual limit of a schedule's lateness.
const INTERVAL: Duration = Duration::from_secs(1);

/// Fires due schedules until `shutdown`.
pub async fn run(pool: PgPool, relay_wake: Arc<Notify>, shutdown: CancellationToken) {
    // Jitter keeps several processes from running their rounds at the same moment.
    let mut interval = Backoff::new(INTERVAL, INTERVAL);
    while shutdown.run_until_cancelled(interval.wait()).await.is_some() {
        loop {
            match fire::fire_next(&pool).await {
                Ok(fire::Fired::NothingDue) => break,
                Ok(fire::Fired::Run) => relay_wake.notify_one(),
                Ok(fire::Fired::Skipped) => {}
                Err(error) => {
                    tracing::warn!(%error, "can't fire schedules; the next round tries again");
                    break;
                }
            }
        }
    }
}
