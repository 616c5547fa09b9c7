//! Publishes with confirms.
//!
//! Invariant: `Ok` means that the broker has stored the message in a queue. Everything else, a returned
//! (unroutable) message included, is an error of that one message, and the caller still owns it.

use super::{Broker, Delivery, SETUP_TIMEOUT, Topology, dead_letters, topology::DeclareError};
use crate::{
    backoff::Backoff,
    telemetry::metrics::{PUBLISH_CONFIRM, PUBLISHES},
};
use futures_util::future;
use lapin::{
    BasicProperties, Channel, Confirmation,
    options::{BasicPublishOptions, ConfirmSelectOptions},
    types::{AMQPValue, FieldTable, LongString, ShortString},
};
use std::time::{Duration, Instant};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

/// A broker that stores nothing (blocked by an alarm, no quorum) holds the caller up no longer than this.
const CONFIRM_TIMEOUT: Duration = Duration::from_secs(10);
const PERSISTENT: u8 = 2;

/// One message to publish.
#[derive(Clone, Debug)]
pub struct Publication {
    pub exchange: String,
    pub routing_key: String,
    pub body: Vec<u8>,
    /// Headers with text values, `traceparent` for one.
    pub headers: Vec<(&'static str, String)>,
}

/// Why the broker does not have a message.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PublishError {
    /// No queue is bound where it was sent. The topology is declared again before the next batch.
    #[error("returned as unroutable")]
    Unroutable,
    /// The broker refused it, for example because the queue has no quorum.
    #[error("refused by the broker")]
    Refused,
    #[error("no confirm within {} s", CONFIRM_TIMEOUT.as_secs())]
    Unconfirmed,
    /// Whether the broker has it is unknown.
    #[error("connection lost: {0}")]
    Connection(#[from] lapin::Error),
    #[error("the connection was closed")]
    Closed,
}

/// Publishes batches on one channel, which it opens and replaces as needed.
#[derive(Debug)]
pub struct Publisher {
    broker: Broker,
    topology: Topology,
    channel: Mutex<Option<Channel>>,
}

impl Publication {
    /// A message for the dead letters: what was wrong with it, and where it came from, go with it in headers.
    fn dead_letter(topology: &Topology, exchange: &str, delivery: &Delivery, reason: &str) -> Self {
        let headers = vec![
            (dead_letters::REASON_HEADER, reason.to_owned()),
            (dead_letters::EXCHANGE_HEADER, exchange.to_owned()),
        ];
        Self {
            exchange: topology.dead.clone(),
            routing_key: delivery.routing_key().to_owned(),
            body: delivery.body().to_vec(),
            headers,
        }
    }
}

impl Publisher {
    #[must_use]
    pub fn new(broker: Broker, topology: Topology) -> Self {
        Self { broker, topology, channel: Mutex::new(None) }
    }

    #[must_use]
    pub const fn topology(&self) -> &Topology {
        &self.topology
    }

    /// Whether there is a channel to publish on; no while one is being opened.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.channel
            .try_lock()
            .is_ok_and(|slot| slot.as_ref().is_some_and(|channel| channel.status().connected()))
    }

    /// Opens the channel if need be, waiting for the broker as long as it takes. None once it was closed.
    ///
    /// Called ahead of a batch, so that nothing is taken on that can't be published now.
    pub async fn ready(&self) -> Option<()> {
        let mut slot = self.channel.lock().await;
        while !slot.as_ref().is_some_and(|channel| channel.status().connected()) {
            let channel = self.broker.channel().await?;
            match tokio::time::timeout(SETUP_TIMEOUT, self.prepare(channel)).await {
                Ok(Ok(channel)) => *slot = Some(channel),
                Ok(Err(error)) => {
                    tracing::warn!(%error, connection = self.broker.name(), "can't prepare to publish");
                    tokio::time::sleep(Duration::from_millis(500)).await;
                }
                Err(_) => {
                    tracing::warn!(connection = self.broker.name(), "the broker does not answer a publisher");
                }
            }
        }
        Some(())
    }

    async fn prepare(&self, channel: Channel) -> Result<Channel, DeclareError> {
        let channel = self.topology.declare(&self.broker, channel).await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        Ok(channel)
    }

    /// Publishes all messages without waiting in between, then waits for all confirms. One answer per message,
    /// in order. Fails at once while there is no connection. Batches do not wait for each other.
    pub async fn publish(&self, batch: &[Publication]) -> Vec<Result<(), PublishError>> {
        let channel = self.channel.lock().await.clone().filter(|channel| channel.status().connected());
        let Some(channel) = channel else {
            return batch.iter().map(|_| Err(PublishError::Closed)).collect();
        };
        let results = future::join_all(batch.iter().map(|message| publish_one(&channel, message))).await;
        let doubtful =
            |result: &Result<(), PublishError>| !matches!(result, Ok(()) | Err(PublishError::Refused));
        if results.iter().any(doubtful) {
            // A late confirm must not be taken for another message's, and a missing queue must be declared. Should
            // another batch have opened a channel of the same number meanwhile, one more is opened.
            self.channel.lock().await.take_if(|current| current.id() == channel.id());
        }
        results
    }

    /// Moves a message that nobody can handle to the dead letters: it is acknowledged only when the broker has it
    /// there, however long that takes. Given back when the broker was closed or `giving_up` is cancelled before.
    pub async fn bury(
        &self,
        delivery: Delivery,
        exchange: &str,
        reason: &str,
        giving_up: &CancellationToken,
    ) {
        let letter = Publication::dead_letter(&self.topology, exchange, &delivery, reason);
        let buried = giving_up.run_until_cancelled(self.publish_until_confirmed(letter)).await.flatten();
        match buried {
            Some(()) => delivery.ack().await,
            None => delivery.requeue().await,
        }
    }

    /// None once the broker was closed.
    async fn publish_until_confirmed(&self, message: Publication) -> Option<()> {
        let mut backoff = Backoff::CONNECTION;
        loop {
            self.ready().await?;
            match self.publish(std::slice::from_ref(&message)).await.pop()? {
                Ok(()) => return Some(()),
                Err(error) => tracing::warn!(%error, "a dead letter was not published"),
            }
            backoff.wait().await;
        }
    }
}

async fn publish_one(channel: &Channel, message: &Publication) -> Result<(), PublishError> {
    let mut headers = FieldTable::default();
    for (name, value) in &message.headers {
        headers.insert(ShortString::from(*name), AMQPValue::LongString(LongString::from(value.as_str())));
    }
    let properties = BasicProperties::default()
        .with_delivery_mode(PERSISTENT)
        .with_content_type("application/json".into())
        .with_headers(headers);
    // `mandatory`: a message that no queue takes comes back instead of vanishing.
    let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    let (exchange, key) = (message.exchange.as_str().into(), message.routing_key.as_str().into());
    let publish =
        async { channel.basic_publish(exchange, key, options, &message.body, properties).await?.await };
    let started = Instant::now();
    let (outcome, result) = match tokio::time::timeout(CONFIRM_TIMEOUT, publish).await {
        Err(_) => ("failed", Err(PublishError::Unconfirmed)),
        Ok(Err(error)) => ("failed", Err(error.into())),
        Ok(Ok(Confirmation::Ack(None))) => ("confirmed", Ok(())),
        Ok(Ok(Confirmation::Ack(Some(_)))) => ("returned", Err(PublishError::Unroutable)),
        Ok(Ok(Confirmation::Nack(_) | Confirmation::NotRequested)) => ("nacked", Err(PublishError::Refused)),
    };
    PUBLISHES.with([outcome]).increment(1);
    if result.is_ok() {
        PUBLISH_CONFIRM.with::<&str>([]).record(started.elapsed());
    }
    result
}
