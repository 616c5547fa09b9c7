//! Moves dead letters from their queue to the table, where they are listed, requeued and dropped.
//!
//! Invariant: a letter is acknowledged only after its row is committed. A letter that is delivered again because its
//! acknowledgement was lost is stored once.

use crate::{db, model::dead_letter::NewLetter};
use shared::{
    amqp::{Broker, Consumer, DeadLetter, Delivery, Topology},
    backoff::Backoff,
};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

/// Limits the unacknowledged letters, each of which may be as large as the broker takes.
const PREFETCH: u16 = 4;

/// Consumer of the dead-letter queue. Several processes may run one.
#[derive(Debug)]
pub struct DeadLetterInbox {
    pool: PgPool,
    consumer: Consumer,
}

impl DeadLetterInbox {
    #[must_use]
    pub fn new(pool: PgPool, consuming: Broker, topology: Topology) -> Self {
        let queue = topology.dead.clone();
        Self { pool, consumer: Consumer::new(consuming, topology, queue, PREFETCH) }
    }

    /// Stores letters until `shutdown`. Letters that are not stored by then return to the queue.
    pub async fn run(mut self, shutdown: CancellationToken) {
        while let Some(Some(delivery)) = shutdown.run_until_cancelled(self.consumer.next()).await {
            self.store(delivery, &shutdown).await;
        }
        let _channel = self.consumer.stop().await;
    }

    /// Stores a letter, and tries again while the database is unreachable.
    async fn store(&self, delivery: Delivery, shutdown: &CancellationToken) {
        let letter = NewLetter::from(DeadLetter::of(&delivery));
        let mut backoff = Backoff::CONNECTION;
        loop {
            match db::dead_letters::insert(&self.pool, &letter, delivery.redelivered()).await {
                Ok(()) => return delivery.ack().await,
                Err(error) => tracing::warn!(%error, "a dead letter can't be stored yet; it is tried again"),
            }
            if shutdown.run_until_cancelled(backoff.wait()).await.is_none() {
                // It returns to the queue when the channel is closed.
                return;
            }
        }
    }
}
