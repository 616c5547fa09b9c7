//! Events of triggers become executions.
//!
//! Invariant: an event is acknowledged only after the commit of what it asked for, or once it is among the dead
//! letters with its reason. One execution per workspace and key, however often the event comes.

mod batch;
mod event;

use batch::{Incoming, Ingested};
use chrono::{DateTime, Utc};
use event::Refused;
use futures_util::FutureExt;
use shared::{
    amqp::{Broker, Consumer, Delivery, Publisher, Topology},
    backoff::Backoff,
    telemetry::metrics::{DEAD_LETTERS, EVENTS_INGESTED, INGEST_LAG},
};
use sqlx::PgPool;
use std::sync::Arc;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Events of one commit. A database that commits in 2 ms takes tens of thousands per second this way.
const BATCH: usize = 128;
/// Events the broker sends ahead: the next batch gathers while one commits. Beyond that it keeps them.
const PREFETCH: u16 = 256;

/// The ingest of one api process. Several run side by side.
#[derive(Debug)]
pub struct Ingest {
    pool: PgPool,
    consumer: Consumer,
    /// For dead letters.
    publisher: Publisher,
    relay_wake: Arc<Notify>,
}

impl Ingest {
    /// `consuming` and `publishing` are two connections: a broker that blocks publishers still takes
    /// acknowledgements.
    #[must_use]
    pub fn new(
        pool: PgPool,
        consuming: Broker,
        publishing: Broker,
        topology: Topology,
        relay_wake: Arc<Notify>,
    ) -> Self {
        let consumer = Consumer::new(consuming, topology.clone(), topology.events.clone(), PREFETCH);
        let publisher = Publisher::new(publishing, topology);
        Self { pool, consumer, publisher, relay_wake }
    }

    /// Runs until told to stop; what was not ingested by then goes back to the queue.
    pub async fn run(mut self, shutdown: CancellationToken) {
        while let Some(batch) = shutdown.run_until_cancelled(self.gather()).await {
            if batch.is_empty() {
                break;
            }
            // Not cut short: an event that was committed should be acknowledged.
            self.ingest(batch, &shutdown).await;
        }
        let _channel = self.consumer.stop().await;
    }

    /// The next event, and those that have already arrived behind it. Empty once the broker was closed.
    async fn gather(&mut self) -> Vec<Delivery> {
        let mut batch = Vec::new();
        batch.extend(self.consumer.next().await);
        while !batch.is_empty()
            && batch.len() < BATCH
            && let Some(Some(delivery)) = self.consumer.next().now_or_never()
        {
            batch.push(delivery);
        }
        batch
    }

    async fn ingest(&self, batch: Vec<Delivery>, shutdown: &CancellationToken) {
        let mut backoff = Backoff::CONNECTION;
        let arrived = Utc::now();
        loop {
            let events: Vec<Incoming<'_>> = batch.iter().map(Incoming::of).collect();
            match batch::ingest(&self.pool, &events).await {
                Ok(results) => {
                    self.relay_wake.notify_one();
                    record_lag(&batch, arrived);
                    return self.settle(batch, results, shutdown).await;
                }
                Err(error) => tracing::warn!(%error, events = batch.len(), "events can't be ingested yet"),
            }
            if shutdown.run_until_cancelled(backoff.wait()).await.is_none() {
                // Unacknowledged, they go back to the queue with the channel.
                return;
            }
        }
    }

    async fn settle(
        &self,
        batch: Vec<Delivery>,
        results: Vec<Result<Ingested, Refused>>,
        shutdown: &CancellationToken,
    ) {
        let mut refused = Vec::new();
        for (delivery, result) in batch.into_iter().zip(results) {
            match result {
                Ok(ingested) => {
                    EVENTS_INGESTED.with([ingested.as_str()]).increment(1);
                    delivery.ack().await;
                }
                Err(reason) => refused.push((delivery, reason)),
            }
        }
        // Last, since it takes as long as the broker takes for a confirm.
        for (delivery, reason) in refused {
            self.dead_letter(delivery, &reason, shutdown).await;
        }
    }

    async fn dead_letter(&self, delivery: Delivery, refused: &Refused, shutdown: &CancellationToken) {
        // The reason may quote the event; it goes with the letter, not into the log.
        tracing::warn!(reason = refused.kind(), "an event that can't be ingested");
        EVENTS_INGESTED.with(["refused"]).increment(1);
        DEAD_LETTERS.with([refused.kind()]).increment(1);
        self.publisher
            .dead_letter(delivery, &self.publisher.topology().events, &refused.to_string(), shutdown)
            .await;
    }
}

fn record_lag(batch: &[Delivery], arrived: DateTime<Utc>) {
    let now = Utc::now();
    for delivery in batch {
        let since = delivery.published_at().unwrap_or(arrived);
        // A publisher's clock ahead of ours makes no negative lag.
        INGEST_LAG.with::<&str>([]).record((now - since).to_std().unwrap_or_default());
    }
}
