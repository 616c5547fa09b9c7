//! Asks for all executions that moved, in one query, and hands the answers to their watches.

use super::{Live, SWEEP};
use crate::model::execution::Progress;
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
    if changed.is_empty() {
        return Ok(());
    }
    if let [id] = *changed {
        return refresh_one(live, pool, id).await;
    }
    let rows = sqlx::query!(
        r#"SELECT execution.id, execution.status, execution.attempt,
                  coalesce((SELECT max(seq) FROM execution_logs WHERE execution_id = execution.id), 0) AS "last_seq!"
           FROM unnest($1::uuid[]) AS moved (id) JOIN script_executions AS execution ON execution.id = moved.id"#,
        moved
    )
    .fetch_all(pool)
    .await?;
    for row in rows {
        if let Ok(status) = row.status.parse() {
            live.publish(row.id, Progress { status, attempt: row.attempt, last_seq: row.last_seq });
        }
    }
    Ok(())
}

/// Most looks are for one execution. One plan is kept for all of them: see [`crate::db::executions`].
async fn refresh_one(live: &Live, pool: &PgPool, id: Uuid) -> Result<(), sqlx::Error> {
    let row = sqlx::query!(
        r#"SELECT status, attempt,
                  coalesce((SELECT max(seq) FROM execution_logs WHERE execution_id = $1), 0) AS "last_seq!"
           FROM script_executions WHERE id = $1 LIMIT 1"#,
        id
    )
    .fetch_optional(pool)
    .await?;
    if let Some(row) = row
        && let Ok(status) = row.status.parse()
    {
        live.publish(id, Progress { status, attempt: row.attempt, last_seq: row.last_seq });
    }
    Ok(())
}
