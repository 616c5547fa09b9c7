//! Reads the progress of all changed executions in one query, and publishes it to their watches.

use super::{Live, SWEEP};
use crate::db;
use sqlx::PgPool;
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Milliseconds between two queries on average, which limits them to 250 per second. A verbose run is read once per
/// interval.
const MIN_INTERVAL: Duration = Duration::from_millis(4);
/// Milliseconds of intervals that may be skipped after an idle period: up to three queries may then run back to back
/// before [`MIN_INTERVAL`] applies, so that the start and the end of a short run are both reported without delay.
const MAX_BURST: Duration = Duration::from_millis(12);

/// Reads changed executions until `stopping`.
pub(super) async fn run(live: &Live, pool: &PgPool, stopping: &CancellationToken) {
    let mut sweep = tokio::time::interval(SWEEP);
    sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut not_before = Instant::now();
    loop {
        tokio::select! {
            () = stopping.cancelled() => return,
            _ = sweep.tick() => live.mark_all_changed(),
            () = live.wake.notified() => {
                tokio::time::sleep_until(not_before).await;
                let changed = live.take_changed();
                if let Err(error) = refresh(live, pool, &changed).await {
                    tracing::warn!(%error, "can't read changed executions: the next sweep reads them again");
                }
                let now = Instant::now();
                not_before = not_before.max(now.checked_sub(MAX_BURST).unwrap_or(now)) + MIN_INTERVAL;
            }
        }
    }
}

/// Reads and publishes the progress of changed executions.
async fn refresh(live: &Live, pool: &PgPool, changed: &[Uuid]) -> Result<(), sqlx::Error> {
    match *changed {
        [] => {}
        [id] => {
            if let Some(progress) = db::progress::of_execution(pool, id).await? {
                live.publish(id, progress);
            }
        }
        _ => {
            for (id, progress) in db::progress::of_executions(pool, changed).await? {
                live.publish(id, progress);
            }
        }
    }
    Ok(())
}
