//! Finds lost messages whose rows are still marked as published, and unmarks the rows.
//!
//! The same round finds rows that are due in the future only because the database's clock was set back.
//!
//! Invariant: while the broker holds as many messages as rows are marked, no message is published twice, however long
//! the workers are unreachable.

use super::Dispatcher;
use crate::db::outbox;
use shared::backoff::Backoff;
use std::time::Duration;

/// Seconds between two rounds. Jitter keeps several api processes from running their rounds at the same moment.
const INTERVAL: Duration = Duration::from_secs(2);
/// Age in seconds from which a marked row may have lost its message. It is far longer than the time from the mark to
/// the claim while slots are free, and short enough that a run that is lost twice, with its worker and then with a
/// queue, starts again within 30 s.
const MIN_AGE: Duration = Duration::from_secs(6);

/// Looks for lost messages for as long as it is polled.
pub(super) async fn run(dispatcher: &Dispatcher) {
    let mut interval = Backoff::new(INTERVAL, INTERVAL);
    loop {
        interval.wait().await;
        match outbox::rebase_after_clock_step(&dispatcher.pool).await {
            Ok(0) => {}
            Ok(rows) => {
                tracing::warn!(
                    rows,
                    "the database's clock was set back: rows that are due by the old clock are due now"
                );
                dispatcher.wake().notify_one();
            }
            Err(error) => {
                tracing::warn!(%error, "can't check for rows from before a change of the database's clock");
            }
        }
        match recover_lost(dispatcher).await {
            Ok(0) => {}
            Ok(rows) => {
                tracing::warn!(rows, "messages were lost: their rows are published again");
                dispatcher.wake().notify_one();
            }
            Err(error) => tracing::warn!(%error, "can't check for lost messages"),
        }
    }
}

/// Unmarks the rows whose messages were lost. Returns the number of rows.
async fn recover_lost(dispatcher: &Dispatcher) -> sqlx::Result<u64> {
    // Reads the rows before the queue: a message that leaves the queue in between may be taken for lost, but no lost
    // message is overlooked.
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
