//! Brings outbox rows to the broker.
//!
//! Invariant: an outbox row goes away only when its execution was claimed. The relay marks it published, publishes,
//! and takes the mark back unless the broker confirmed; a mark whose message was lost all the same (a process killed
//! in between, a queue deleted) is taken back by [`recovery`]. A message too many is harmless: the claim decides.
//!
//! Order is decided in the database, per message and as late as possible: the broker never holds more than a
//! shallow window, so a workspace with a long backlog can't stand before another's only run. A row that is written while
//! nobody waits takes no turn: its writer marks it and sends it through [`Outgoing`], as the relay does.

use super::{Outgoing, recovery};
use crate::db::outbox::{self, Waiting};
use shared::backoff::Backoff;
use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Most rows per batch: large enough to pipeline well, small enough that a batch is confirmed in milliseconds.
const BATCH: i64 = 64;
/// Batches that wait for confirms at the same time, so that a new row never waits for another's confirm.
const BATCHES_IN_FLIGHT: usize = 4;
/// Unmarked rows of which nobody told us (their writer died after its commit) are found this late at most.
const IDLE_SWEEP: Duration = Duration::from_secs(1);
/// While rows wait for room in the window and no claim is announced.
const FULL_WINDOW_SWEEP: Duration = Duration::from_millis(50);

/// The relay of one api process. Several run side by side.
#[derive(Debug)]
pub struct Relay {
    outgoing: Arc<Outgoing>,
}

impl Relay {
    #[must_use]
    pub const fn new(outgoing: Arc<Outgoing>) -> Self {
        Self { outgoing }
    }

    /// Runs until told to stop; then waits for the confirms under way.
    pub async fn run(self, shutdown: CancellationToken) {
        let recovery = recovery::run(&self.outgoing);
        let mut batches = JoinSet::new();
        let relay = async { tokio::join!(recovery, self.dispatch(&mut batches)) };
        shutdown.run_until_cancelled(Box::pin(relay)).await;
        batches.join_all().await;
    }

    async fn dispatch(&self, batches: &mut JoinSet<()>) {
        let mut backoff = Backoff::CONNECTION;
        while self.outgoing.ready().await.is_some() {
            match outbox::depart(&self.outgoing.pool, BATCH, self.outgoing.workspace_limit).await {
                Ok(departures) if departures.is_empty() => self.rest().await,
                Ok(departures) => {
                    backoff.reset();
                    let is_full = i64::try_from(departures.len()).is_ok_and(|rows| rows == BATCH);
                    self.outgoing.is_queueing.store(is_full, Ordering::Relaxed);
                    while batches.len() >= BATCHES_IN_FLIGHT {
                        batches.join_next().await;
                    }
                    let outgoing = Arc::clone(&self.outgoing);
                    batches.spawn(async move { outgoing.publish(departures).await });
                }
                Err(error) => {
                    tracing::warn!(%error, "the relay can't read the outbox");
                    backoff.wait().await;
                }
            }
            while batches.try_join_next().is_some() {}
        }
    }

    /// Waits until there may be something to publish.
    async fn rest(&self) {
        let waiting = outbox::waiting(&self.outgoing.pool).await.unwrap_or(Waiting::Nothing);
        self.outgoing.is_queueing.store(waiting == Waiting::ForRoom, Ordering::Relaxed);
        let pause = match waiting {
            Waiting::Nothing => IDLE_SWEEP,
            Waiting::ForRoom => FULL_WINDOW_SWEEP,
            Waiting::ForTime(wait) => wait.min(IDLE_SWEEP),
        };
        // A timeout is as good a reason to look as a wake.
        drop(tokio::time::timeout(pause, self.outgoing.wake().notified()).await);
    }
}
