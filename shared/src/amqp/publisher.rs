//! Publisher with confirms.
//!
//! Invariant: `Ok` means that the broker has stored the message in a queue. Every other outcome, including a returned
//! (unroutable) message, is an error of that one message, for which the caller stays responsible.

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
use uuid::Uuid;

/// Time limit of a confirm, for a broker that stores nothing because of an alarm or a lost quorum.
const CONFIRM_TIMEOUT: Duration = Duration::from_secs(10);
const PERSISTENT: u8 = 2;

/// Message to publish.
#[derive(Clone, Debug)]
pub struct Publication {
    pub exchange: String,
    pub routing_key: String,
    pub body: Vec<u8>,
    /// Headers with text values, for example `traceparent`.
    pub headers: Vec<(&'static str, String)>,
}

/// Reason why the broker has not stored a message.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PublishError {
    /// No queue is bound to the exchange and routing key. The topology is declared again before the next batch.
    #[error("the broker returned the message as unroutable")]
    Unroutable,
    /// The broker rejected it, for example because the queue has no quorum.
    #[error("the broker refused the message")]
    Refused,
    #[error("the broker did not confirm the message within {} s", CONFIRM_TIMEOUT.as_secs())]
    Unconfirmed,
    /// The connection was lost, and it is unknown whether the broker stored the message.
    #[error("the broker's connection was lost: {0}")]
    Connection(#[from] lapin::Error),
    #[error("the connection was closed")]
    Closed,
}

/// Publisher of batches on one channel, which it opens and replaces as needed.
#[derive(Debug)]
pub struct Publisher {
    broker: Broker,
    topology: Topology,
    channel: Mutex<Option<Channel>>,
}

impl Publication {
    /// Makes a dead letter of a delivery, with its id, the reason and the original exchange in headers.
    fn dead_letter(topology: &Topology, exchange: &str, delivery: &Delivery, reason: &str) -> Self {
        let headers = vec![
            (dead_letters::ID_HEADER, Uuid::now_v7().to_string()),
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

    /// Returns whether there is an open channel. False while one is being opened.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.channel
            .try_lock()
            .is_ok_and(|slot| slot.as_ref().is_some_and(|channel| channel.status().connected()))
    }

    /// Opens the channel if necessary and waits for the broker as long as it takes. `None` once the broker was closed.
    ///
    /// Call it before a batch is claimed, so that no messages are claimed that cannot be published now.
    pub async fn ready(&self) -> Option<()> {
        let mut slot = self.channel.lock().await;
        while !slot.as_ref().is_some_and(|channel| channel.status().connected()) {
            let channel = self.broker.channel().await?;
            match tokio::time::timeout(SETUP_TIMEOUT, self.prepare(channel)).await {
                Ok(Ok(channel)) => *slot = Some(channel),
                Ok(Err(error)) => {
                    tracing::warn!(%error, connection = self.broker.name(), "can't set up a channel for publishing");
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
        self.topology.declare(&channel).await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        Ok(channel)
    }

    /// Publishes all messages without waiting in between, then waits for all confirms. Returns one result per message,
    /// in order. Fails immediately while there is no connection. Batches do not wait for each other.
    pub async fn publish(&self, batch: &[Publication]) -> Vec<Result<(), PublishError>> {
        let channel = self.channel.lock().await.clone().filter(|channel| channel.status().connected());
        let Some(channel) = channel else {
            return batch.iter().map(|_| Err(PublishError::Closed)).collect();
        };
        let results = future::join_all(batch.iter().map(|message| publish_one(&channel, message))).await;
        let doubtful =
            |result: &Result<(), PublishError>| !matches!(result, Ok(()) | Err(PublishError::Refused));
        if results.iter().any(doubtful) {
            // A late confirm must not be mistaken for that of another message, and a missing queue must be declared. If
            // another batch has opened a channel with the same number meanwhile, one more is opened.
            self.channel.lock().await.take_if(|current| current.id() == channel.id());
        }
        results
    }

    /// Moves a message that cannot be processed to the dead letters. The message is acknowledged only once the broker
    /// has stored the dead letter, however long that takes. Requeues it if the broker is closed or `stopping` is
    /// cancelled before.
    pub async fn dead_letter(
        &self,
        delivery: Delivery,
        exchange: &str,
        reason: &str,
        stopping: &CancellationToken,
    ) {
        let letter = Publication::dead_letter(&self.topology, exchange, &delivery, reason);
        let stored = stopping.run_until_cancelled(self.publish_until_confirmed(letter)).await.flatten();
        match stored {
            Some(()) => delivery.ack().await,
            None => delivery.requeue().await,
        }
    }

    /// Publishes a message until it is confirmed. `None` once the broker was closed.
    async fn publish_until_confirmed(&self, message: Publication) -> Option<()> {
        let mut backoff = Backoff::CONNECTION;
        loop {
            self.ready().await?;
            match self.publish(std::slice::from_ref(&message)).await.pop()? {
                Ok(()) => return Some(()),
                Err(error) => tracing::warn!(%error, "a dead letter was not published, trying again"),
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
    // `mandatory`: the broker returns an unroutable message instead of dropping it.
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
