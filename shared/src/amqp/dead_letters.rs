//! Dead letters: messages that could not be processed, kept for inspection by an operator.
//!
//! Invariant: inspection changes nothing. Letters stay unacknowledged while the queue is scanned, and all except those
//! acted on are requeued when the channel closes.

use super::{Broker, Publication, PublishError, Publisher, Topology, topology::DeclareError};
use lapin::{
    Channel,
    message::BasicGetMessage,
    options::{BasicAckOptions, BasicGetOptions},
    types::AMQPValue,
};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;

/// Header with the reason why the message was not processed.
pub const REASON_HEADER: &str = "x-reason";
/// Header with the exchange to which the message was first published.
pub const EXCHANGE_HEADER: &str = "x-exchange";
/// Header with the reason, as set by the broker when a consumer rejects a message.
const BROKER_REASON_HEADER: &str = "x-first-death-reason";
/// Header with the exchange, as set by the broker when a consumer rejects a message.
const BROKER_EXCHANGE_HEADER: &str = "x-first-death-exchange";

/// Maximum number of letters scanned. Further ones are reached once some of these are gone.
pub const SCAN_LIMIT: usize = 1_000;

/// Message that could not be processed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// Hash of the content. Equal letters have the same id and are acted on together.
    pub id: String,
    pub reason: String,
    /// Exchange to which the letter is published when it is requeued.
    pub exchange: String,
    pub routing_key: String,
    pub body: Vec<u8>,
}

/// Errors of reading dead letters and of acting on them.
#[derive(Debug, thiserror::Error)]
pub enum DeadLetterError {
    #[error("no connection to the broker")]
    Disconnected,
    #[error("the broker failed: {0}")]
    Broker(#[from] lapin::Error),
    #[error(transparent)]
    Declare(#[from] DeclareError),
    #[error("the dead letter was not requeued: {0}")]
    Publish(#[from] PublishError),
}

/// Action on a letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Requeue,
    Drop,
}

/// Dead-letter queue.
#[derive(Debug)]
pub struct DeadLetters {
    broker: Broker,
    topology: Topology,
    publisher: Publisher,
}

impl DeadLetters {
    #[must_use]
    pub fn new(broker: Broker, topology: Topology) -> Self {
        let publisher = Publisher::new(broker.clone(), topology.clone());
        Self { broker, topology, publisher }
    }

    /// Lists the oldest letters, at most `limit` of them.
    pub async fn list(&self, limit: usize) -> Result<Vec<DeadLetter>, DeadLetterError> {
        let channel = self.channel().await?;
        let mut letters = Vec::new();
        while letters.len() < limit.min(SCAN_LIMIT)
            && let Some(message) = self.get(&channel).await?
        {
            letters.push(read(&message));
        }
        Ok(letters)
    }

    /// Finds the letter with this id.
    pub async fn show(&self, id: &str) -> Result<Option<DeadLetter>, DeadLetterError> {
        Ok(self.list(SCAN_LIMIT).await?.into_iter().find(|letter| letter.id == id))
    }

    /// Publishes letters to their original exchange again. Returns how many were found.
    pub async fn requeue(&self, ids: &BTreeSet<String>) -> Result<usize, DeadLetterError> {
        self.act(ids, Action::Requeue).await
    }

    /// Deletes letters. Returns how many were found.
    pub async fn drop(&self, ids: &BTreeSet<String>) -> Result<usize, DeadLetterError> {
        self.act(ids, Action::Drop).await
    }

    async fn act(&self, ids: &BTreeSet<String>, action: Action) -> Result<usize, DeadLetterError> {
        let channel = self.channel().await?;
        let (mut scanned, mut found) = (0, 0);
        while scanned < SCAN_LIMIT
            && let Some(message) = self.get(&channel).await?
        {
            scanned += 1;
            let letter = read(&message);
            if ids.contains(&letter.id) {
                if action == Action::Requeue {
                    self.publish(letter).await?;
                }
                // Acknowledged only after the broker has stored the copy: a crash in between leaves two letters, not
                // none.
                message.delivery.acker.ack(BasicAckOptions::default()).await?;
                found += 1;
            }
        }
        Ok(found)
    }

    async fn publish(&self, letter: DeadLetter) -> Result<(), DeadLetterError> {
        let DeadLetter { exchange, routing_key, body, .. } = letter;
        self.publisher.ready().await.ok_or(DeadLetterError::Disconnected)?;
        let publication = Publication { exchange, routing_key, body, headers: Vec::new() };
        let mut results = self.publisher.publish(std::slice::from_ref(&publication)).await;
        Ok(results.pop().unwrap_or(Err(PublishError::Closed))?)
    }

    async fn channel(&self) -> Result<Channel, DeadLetterError> {
        let channel = self.broker.channel_now().await.ok_or(DeadLetterError::Disconnected)?;
        self.topology.declare(&channel).await?;
        Ok(channel)
    }

    async fn get(&self, channel: &Channel) -> lapin::Result<Option<BasicGetMessage>> {
        channel.basic_get(self.topology.dead.as_str().into(), BasicGetOptions::default()).await
    }
}

fn read(message: &BasicGetMessage) -> DeadLetter {
    let delivery = &message.delivery;
    let header = |name: &str| {
        let headers = delivery.properties.headers().as_ref()?;
        match headers.inner().get(name)? {
            AMQPValue::LongString(value) => Some(String::from_utf8_lossy(value.as_bytes()).into_owned()),
            AMQPValue::ShortString(value) => Some(value.as_str().to_owned()),
            _ => None,
        }
    };
    let reason = header(REASON_HEADER).or_else(|| header(BROKER_REASON_HEADER)).unwrap_or_default();
    let exchange = header(EXCHANGE_HEADER).or_else(|| header(BROKER_EXCHANGE_HEADER)).unwrap_or_default();
    let routing_key = delivery.routing_key.as_str().to_owned();
    let mut hash = Sha256::new();
    for part in [reason.as_bytes(), exchange.as_bytes(), routing_key.as_bytes(), &delivery.data] {
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    let id = hex::encode(&hash.finalize()[..16]);
    DeadLetter { id, reason, exchange, routing_key, body: delivery.data.clone() }
}
