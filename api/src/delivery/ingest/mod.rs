//! Creates executions from the events of triggers.
//!
//! Invariant: an event is acknowledged only after its execution is committed, or after it is stored as a dead letter
//! with its reason. A workspace has one execution per key, however often the event is delivered.

mod batch;
mod event;

use batch::{IncomingEvent, Ingested};
use chrono::{DateTime, Utc};
use event::EventRejection;
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

/// Limits the events of one commit. A database that commits in 2 ms stores tens of thousands per second.
const BATCH: usize = 128;
/// Limits the unacknowledged events. The next batch arrives while one commits; the broker keeps the others.
const PREFETCH: u16 = 256;

/// Ingest of one api process. Several may run at the same time.
#[derive(Debug)]
pub struct Ingest {
    pool: PgPool,
    consumer: Consumer,
    /// Publishes dead letters.
    publisher: Publisher,
    relay_wake: Arc<Notify>,
}

impl Ingest {
    /// Creates an ingest with two connections, since a broker that blocks publishers still accepts acknowledgements on
    /// another.
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

    /// Ingests until `shutdown`. Events that are not ingested by then return to the queue.
    pub async fn run(mut self, shutdown: CancellationToken) {
        while let Some(batch) = shutdown.run_until_cancelled(self.gather()).await {
            if batch.is_empty() {
                break;
            }
            // Is not cancelled, so that committed events are acknowledged.
            self.ingest(batch, &shutdown).await;
        }
        let _channel = self.consumer.stop().await;
    }

    /// Waits for the next event, and returns it with those that have already arrived. Returns an empty batch after the
    /// broker was closed.
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

    /// Ingests a batch, and tries again while the database is unreachable.
    async fn ingest(&self, batch: Vec<Delivery>, shutdown: &CancellationToken) {
        let mut backoff = Backoff::CONNECTION;
        let arrived = Utc::now();
        loop {
            let events: Vec<IncomingEvent<'_>> = batch.iter().map(IncomingEvent::of).collect();
            match batch::ingest(&self.pool, &events).await {
                Ok(results) => {
                    self.relay_wake.notify_one();
                    record_lag(&batch, arrived);
                    return self.settle(batch, results, shutdown).await;
                }
                Err(error) => {
                    tracing::warn!(%error, events = batch.len(), "events can't be ingested yet; they are tried again");
                }
            }
            if shutdown.run_until_cancelled(backoff.wait()).await.is_none() {
                // Unacknowledged events return to the queue when the channel is closed.
                return;
            }
        }
    }

    /// Acknowledges the ingested events, and stores the others as dead letters.
    async fn settle(
        &self,
        batch: Vec<Delivery>,
        results: Vec<Result<Ingested, EventRejection>>,
        shutdown: &CancellationToken,
    ) {
        let mut rejected = Vec::new();
        for (delivery, result) in batch.into_iter().zip(results) {
            match result {
                Ok(ingested) => {
                    EVENTS_INGESTED.with([ingested.as_str()]).increment(1);
                    delivery.ack().await;
                }
                Err(rejection) => rejected.push((delivery, rejection)),
            }
        }
        // Comes last, since each waits for a confirm of the broker.
        for (delivery, rejection) in rejected {
            self.dead_letter(delivery, &rejection, shutdown).await;
        }
    }

    async fn dead_letter(
        &self,
        delivery: Delivery,
        rejection: &EventRejection,
        shutdown: &CancellationToken,
    ) {
        // The text of the reason may quote the event, so it goes with the dead letter and not into the log.
        tracing::warn!(reason = rejection.kind(), "rejected an event that can't be ingested");
        EVENTS_INGESTED.with(["refused"]).increment(1);
        DEAD_LETTERS.with([rejection.kind()]).increment(1);
        self.publisher
            .dead_letter(delivery, &self.publisher.topology().events, &rejection.to_string(), shutdown)
            .await;
    }
}

/// Records the time from the publish of each event to its commit.
fn record_lag(batch: &[Delivery], arrived: DateTime<Utc>) {
    let now = Utc::now();
    for delivery in batch {
        let since = delivery.published_at().unwrap_or(arrived);
        // A negative lag, by a publisher's clock that is ahead, counts as 0.
        INGEST_LAG.with::<&str>([]).record((now - since).to_std().unwrap_or_default());
    }
}
