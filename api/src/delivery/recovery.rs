//! Finds messages that were lost although their rows say that they are on their way.
//!
//! The same round finds rows that are due in the future only because the database's clock was set back.
//!
//! Invariant: while the broker holds as many messages as rows are marked, nothing is published twice, however long
//! the workers are away.

use super::Dispatcher;
use crate::db::outbox;
use shared::backoff::Backoff;
use std::time::Duration;

/// Time between two rounds, spread so that several api processes do not take turns at the same moment.
const INTERVAL: Duration = Duration::from_secs(2);
/// Far longer than a message takes from the mark to the claim when slots are free, and short enough that a run lost
/// twice, with its worker and then with a queue, starts again within 30 s.
const MIN_AGE: Duration = Duration::from_secs(6);

pub(super) async fn run(dispatcher: &Dispatcher) {
    let mut interval = Backoff::new(INTERVAL, INTERVAL);
    loop {
        interval.wait().await;
        match outbox::rebase_after_clock_step(&dispatcher.pool).await {
            Ok(0) => {}
            Ok(rows) => {
                tracing::warn!(rows, "the database's clock went back; rows from before it follow");
                dispatcher.wake().notify_one();
            }
            Err(error) => tracing::warn!(%error, "can't look for rows from before the clock went back"),
        }
        match recover_lost(dispatcher).await {
            Ok(0) => {}
            Ok(rows) => {
                tracing::warn!(rows, "messages were lost; their rows are published again");
                dispatcher.wake().notify_one();
            }
            Err(error) => tracing::warn!(%error, "can't look for lost messages"),
        }
    }
}

/// Unmarks the rows whose messages were lost. Returns the number of rows.
async fn recover_lost(dispatcher: &Dispatcher) -> sqlx::Result<u64> {
    // Rows first: a message that leaves the queue in between makes the check miss nothing, only look again.
    let Dispatcher { pool, broker, publisher, .. } = dispatcher;
    let (all, old) = outbox::published(pool, MIN_AGE).await?;
    if old == 0 {
        return Ok(0);
    }
    let Some(ready) = broker.ready_messages(&publisher.topology().executions).await else { return Ok(0) };
    if i64::from(ready) >= all {
        return Ok(0);
    }
    outbox::unmark_stale(pool, MIN_AGE).await
}
