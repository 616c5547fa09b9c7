//! Cron triggers.
//!
//! Invariant: one occurrence leads to one execution at most, whichever process fires it: advancing the schedule and
//! submitting the execution are one transaction, under the schedule's row lock.

mod fire;

use crate::model::cron;
use shared::backoff::Backoff;
use sqlx::PgPool;
use std::{sync::Arc, time::Duration};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Between two looks: how late a schedule fires at most when nothing is in its way.
const INTERVAL: Duration = Duration::from_secs(1);

/// Fires what is due until told to stop.
pub async fn run(pool: PgPool, relay_wake: Arc<Notify>, shutdown: CancellationToken) {
    // The jitter keeps several processes from looking at the same moment for ever.
    let mut interval = Backoff::new(INTERVAL, INTERVAL);
    while shutdown.run_until_cancelled(interval.wait()).await.is_some() {
        loop {
            match fire::fire_next(&pool).await {
                Ok(fire::Fired::Nothing) => break,
                Ok(fire::Fired::Run) => relay_wake.notify_one(),
                Ok(fire::Fired::Skipped) => {}
                Err(error) => {
                    tracing::warn!(%error, "schedules can't be fired");
                    break;
                }
            }
        }
    }
}

/// When a schedule runs next, from now on: what is stored with a new or changed schedule.
pub fn next_run(
    expression: &str,
    timezone: &str,
) -> Result<chrono::DateTime<chrono::Utc>, cron::InvalidRecurrence> {
    let recurrence = cron::Recurrence::parse(expression, timezone)?;
    recurrence.next_after(chrono::Utc::now()).ok_or(cron::InvalidRecurrence::Never)
}
