//! Brings outbox rows to the broker.
//!
//! Invariant: an outbox row goes away only when its execution was claimed. The relay marks it published, publishes,
//! and takes the mark back unless the broker confirmed; a mark whose message was lost all the same (a process killed
//! in between, a queue deleted) is taken back by [`recovery`]. A message too many is harmless: the claim decides.
//!
//! Order is decided in the database, per message and as late as possible: the broker never holds more than a
//! shallow window, so a workspace with a long backlog can't stand before another's only run. A row that is written while
//! nobody waits takes no turn: its writer marks it and sends it through [`Outgoing`], as the relay does.

mod outbox;
mod outgoing;
mod recovery;

pub use outgoing::{Departure, Outgoing, Ticket};

use crate::relay::outbox::Waiting;
use shared::backoff::Backoff;
use sqlx::postgres::PgListener;
use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Channel on which others tell that they have written outbox rows.
const OUTBOX_CHANNEL: &str = "outbox";
/// Channel on which claims are told, among other changes: each makes room in the window.
const CHANGED_CHANNEL: &str = "execution_changed";
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
        let listener = self.listen();
        let mut batches = JoinSet::new();
        let relay = async { tokio::join!(recovery, listener, self.dispatch(&mut batches)) };
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

    /// Wakes the relay whenever another process has written outbox rows, or a claim has made room.
    async fn listen(&self) {
        let mut backoff = Backoff::CONNECTION;
        loop {
            if let Err(error) = self.listen_once(&mut backoff).await {
                tracing::warn!(%error, "the relay can't listen");
            }
            backoff.wait().await;
        }
    }

    async fn listen_once(&self, backoff: &mut Backoff) -> sqlx::Result<()> {
        let mut listener = PgListener::connect_with(&self.outgoing.pool).await?;
        listener.listen_all([OUTBOX_CHANNEL, CHANGED_CHANNEL]).await?;
        backoff.reset();
        loop {
            // `None` is a connection that was lost: the listener has a new one, but something may have been missed.
            let notification = listener.try_recv().await?;
            let is_change =
                notification.is_some_and(|notification| notification.channel() == CHANGED_CHANNEL);
            if !is_change || self.outgoing.is_queueing.load(Ordering::Relaxed) {
                self.outgoing.wake().notify_one();
            }
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
