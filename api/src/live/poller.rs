//! Asks for all executions that moved, in one query, and hands the answers to their watches.

use super::{Live, SWEEP};
use crate::db;
use sqlx::PgPool;
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// This long between two queries on average, 250 per second at most: a chatty run is asked for once per pause.
const MIN_INTERVAL: Duration = Duration::from_millis(4);
/// So much of the pauses may be saved up for the first changes after a quiet time: a short run ends a few milliseconds after
/// it started, and whoever waits for its end would wait for the pause after its start.
const MAX_BURST: Duration = Duration::from_millis(12);

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
                    tracing::warn!(%error, "can't read what moved; the next sweep will");
                }
                let now = Instant::now();
                not_before = not_before.max(now.checked_sub(MAX_BURST).unwrap_or(now)) + MIN_INTERVAL;
            }
        }
    }
}

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
