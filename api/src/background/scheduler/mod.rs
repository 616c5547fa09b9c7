//! Cron triggers.
//!
//! Invariant: one occurrence leads to one execution at most, whichever process fires it: advancing the schedule and
//! submitting the execution are one transaction, under the schedule's row lock.

mod fire;

use shared::backoff::Backoff;
use sqlx::PgPool;
use std::{sync::Arc, time::Duration};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Pause between two rounds; a schedule fires at most this late when nothing delays it.
const INTERVAL: Duration = Duration::from_secs(1);

/// Fires due schedules until `shutdown`.
pub async fn run(pool: PgPool, relay_wake: Arc<Notify>, shutdown: CancellationToken) {
    // The jitter keeps several processes from taking their rounds at the same moment.
    let mut interval = Backoff::new(INTERVAL, INTERVAL);
    while shutdown.run_until_cancelled(interval.wait()).await.is_some() {
        loop {
            match fire::fire_next(&pool).await {
                Ok(fire::Fired::Nothing) => break,
                Ok(fire::Fired::Run) => relay_wake.notify_one(),
                Ok(fire::Fired::Skipped) => {}
                Err(error) => {
                    tracing::warn!(%error, "can't fire schedules");
                    break;
                }
            }
        }
    }
}
