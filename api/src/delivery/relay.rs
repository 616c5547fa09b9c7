//! Publishes outbox rows in a fair order.
//!
//! Invariant: an outbox row is deleted only when its execution is claimed. The relay marks the row as published,
//! publishes it, and removes the mark unless the broker confirmed. [`recovery`] removes a mark whose message was lost
//! nevertheless, because a process was killed in between or a queue was deleted. A duplicate message is harmless,
//! since the claim decides.
//!
//! The database decides the order, per message and as late as possible: the broker holds only a shallow window of
//! messages, so that a workspace with a long backlog does not delay the only run of another. A row that is written
//! while there is no backlog takes no turn: its writer uses the [`FastPath`](super::FastPath).

use super::{Dispatcher, recovery};
use crate::db::outbox::{self, Batch, OutboxEntry, Rest};
use shared::backoff::Backoff;
use std::{sync::Arc, time::Duration};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Limits the rows of a batch: enough for a pipeline, and few enough that a batch is confirmed in milliseconds.
const BATCH: i64 = 64;
/// Limits the batches that wait for confirms at the same time. Several may, so that a new row does not wait for the
/// confirm of another.
const BATCHES_IN_FLIGHT: usize = 4;
/// Seconds between two reads of an empty outbox. They find rows whose writer died between its commit and its
/// notification.
const IDLE_SWEEP: Duration = Duration::from_secs(1);
/// Milliseconds between two reads while rows are due that can't be published yet and no change is notified.
const BACKLOG_SWEEP: Duration = Duration::from_millis(50);

/// Relay of one api process. Several may run at the same time.
#[derive(Debug)]
pub struct Relay {
    dispatcher: Arc<Dispatcher>,
}

impl Relay {
    #[must_use]
    pub const fn new(dispatcher: Arc<Dispatcher>) -> Self {
        Self { dispatcher }
    }

    /// Publishes until `shutdown`, then waits for the pending confirms.
    pub async fn run(self, shutdown: CancellationToken) {
        let recovery = recovery::run(&self.dispatcher);
        let mut batches = JoinSet::new();
        let relay = async { tokio::join!(recovery, self.publish_batches(&mut batches)) };
        shutdown.run_until_cancelled(Box::pin(relay)).await;
        batches.join_all().await;
    }

    /// Publishes batch after batch for as long as it is polled. Returns when the broker was closed.
    async fn publish_batches(&self, batches: &mut JoinSet<()>) {
        let mut backoff = Backoff::CONNECTION;
        while self.dispatcher.ready().await.is_some() {
            let Dispatcher { pool, workspace_limit, backlog, .. } = &*self.dispatcher;
            match outbox::claim_next_batch(pool, BATCH, *workspace_limit).await {
                Ok(Batch { entries, rest }) => {
                    backoff.reset();
                    backlog.set(rest);
                    let is_full = i64::try_from(entries.len()).is_ok_and(|rows| rows == BATCH);
                    self.spawn_publish(entries, batches).await;
                    if !is_full {
                        self.wait_for_work(rest).await;
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "the relay can't read the outbox; it tries again");
                    backoff.wait().await;
                }
            }
            while batches.try_join_next().is_some() {}
        }
    }

    /// Publishes a batch in a task, once fewer than [`BATCHES_IN_FLIGHT`] wait for their confirms.
    async fn spawn_publish(&self, entries: Vec<OutboxEntry>, batches: &mut JoinSet<()>) {
        if entries.is_empty() {
            return;
        }
        while batches.len() >= BATCHES_IN_FLIGHT {
            batches.join_next().await;
        }
        let dispatcher = Arc::clone(&self.dispatcher);
        batches.spawn(async move { dispatcher.publish(entries).await });
    }

    /// Waits until there may be something to publish.
    async fn wait_for_work(&self, rest: Rest) {
        let pause = match rest {
            Rest::Nothing => IDLE_SWEEP,
            Rest::WindowFull(_) | Rest::Limited => BACKLOG_SWEEP,
            Rest::DueIn(wait) => wait.min(IDLE_SWEEP),
        };
        // The relay reads the outbox after a timeout as well as after a notification.
        drop(tokio::time::timeout(pause, self.dispatcher.wake().notified()).await);
    }
}
