//! Brings outbox rows to the broker.
//!
//! Invariant: an outbox row goes away only when its execution was claimed. The relay marks it as published, publishes,
//! and removes the mark unless the broker confirmed; a mark whose message was lost all the same (a process killed
//! in between, a queue deleted) is removed by [`recovery`]. A duplicate message is harmless: the claim decides.
//!
//! Order is decided in the database, per message and as late as possible: the broker never holds more than a
//! shallow window, so a workspace with a long backlog can't delay another's only run. A row that is written while there
//! is no backlog needs no turn: its writer takes the [`FastPath`].

use super::{Dispatcher, recovery};
use crate::db::outbox::{self, Idle};
use shared::backoff::Backoff;
use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Maximum rows per batch: large enough to pipeline well, small enough that a batch is confirmed in milliseconds.
const BATCH: i64 = 64;
/// Maximum batches that wait for confirms at the same time, so that a new row never waits for another's confirm.
const BATCHES_IN_FLIGHT: usize = 4;
/// Pause between two looks at an empty outbox: rows whose writer died between its commit and its notice are found then.
const IDLE_SWEEP: Duration = Duration::from_secs(1);
/// Pause between two looks while rows wait for room in the broker's window and no claim is notified.
const FULL_WINDOW_SWEEP: Duration = Duration::from_millis(50);

/// The relay of one api process. Several run side by side.
#[derive(Debug)]
pub struct Relay {
    dispatcher: Arc<Dispatcher>,
}

impl Relay {
    #[must_use]
    pub const fn new(dispatcher: Arc<Dispatcher>) -> Self {
        Self { dispatcher }
    }

    /// Runs until told to stop; then waits for the confirms under way.
    pub async fn run(self, shutdown: CancellationToken) {
        let recovery = recovery::run(&self.dispatcher);
        let mut batches = JoinSet::new();
        let relay = async { tokio::join!(recovery, self.publish_batches(&mut batches)) };
        shutdown.run_until_cancelled(Box::pin(relay)).await;
        batches.join_all().await;
    }

    async fn publish_batches(&self, batches: &mut JoinSet<()>) {
        let mut backoff = Backoff::CONNECTION;
        while self.dispatcher.ready().await.is_some() {
            let Dispatcher { pool, workspace_limit, has_backlog, .. } = &*self.dispatcher;
            match outbox::claim_next_batch(pool, BATCH, *workspace_limit).await {
                Ok(entries) if entries.is_empty() => self.wait_for_work().await,
                Ok(entries) => {
                    backoff.reset();
                    let is_full = i64::try_from(entries.len()).is_ok_and(|rows| rows == BATCH);
                    has_backlog.store(is_full, Ordering::Relaxed);
                    while batches.len() >= BATCHES_IN_FLIGHT {
                        batches.join_next().await;
                    }
                    let dispatcher = Arc::clone(&self.dispatcher);
                    batches.spawn(async move { dispatcher.publish(entries).await });
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
    async fn wait_for_work(&self) {
        let Dispatcher { pool, has_backlog, .. } = &*self.dispatcher;
        let idle = outbox::idle(pool).await.unwrap_or(Idle::Empty);
        has_backlog.store(idle == Idle::BrokerFull, Ordering::Relaxed);
        let pause = match idle {
            Idle::Empty => IDLE_SWEEP,
            Idle::BrokerFull => FULL_WINDOW_SWEEP,
            Idle::DueIn(wait) => wait.min(IDLE_SWEEP),
        };
        // A timeout is as good a reason to look as a wake.
        drop(tokio::time::timeout(pause, self.dispatcher.wake().notified()).await);
    }
}
