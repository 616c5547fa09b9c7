//! The messages nobody could handle, for people to look at.
//!
//! Invariant: looking changes nothing. Letters are held unacknowledged while they are looked through, and all but
//! those acted on return to the queue with the channel.

use super::{Broker, Publication, PublishError, Publisher, Topology, topology::DeclareError};
use lapin::{
    Channel,
    message::BasicGetMessage,
    options::{BasicAckOptions, BasicGetOptions},
    types::AMQPValue,
};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;

/// What was wrong with the message, in words.
pub const REASON_HEADER: &str = "x-reason";
/// The exchange it was first published to.
pub const EXCHANGE_HEADER: &str = "x-exchange";
/// The same two, as the broker itself writes them when a consumer rejects a message.
const BROKER_REASON_HEADER: &str = "x-first-death-reason";
const BROKER_EXCHANGE_HEADER: &str = "x-first-death-exchange";

/// Letters looked through at most; more are seen once some of these are gone.
pub const LOOKED_THROUGH: usize = 1_000;

/// One message nobody could handle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// Hash of its content: letters that are equal have one id and are acted on together.
    pub id: String,
    pub reason: String,
    /// Where it goes when it is requeued.
    pub exchange: String,
    pub routing_key: String,
    pub body: Vec<u8>,
}

/// Why letters could not be looked at or acted on.
#[derive(Debug, thiserror::Error)]
pub enum DeadLetterError {
    #[error("no connection to the broker")]
    Disconnected,
    #[error("the broker: {0}")]
    Broker(#[from] lapin::Error),
    #[error(transparent)]
    Declare(#[from] DeclareError),
    #[error("not requeued: {0}")]
    Publish(#[from] PublishError),
}

/// What to do with a letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Requeue,
    Drop,
}

/// The dead-letter queue.
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

    /// The oldest letters, at most `most` of them.
    pub async fn list(&self, most: usize) -> Result<Vec<DeadLetter>, DeadLetterError> {
        let channel = self.channel().await?;
        let mut letters = Vec::new();
        while letters.len() < most.min(LOOKED_THROUGH)
            && let Some(message) = self.get(&channel).await?
        {
            letters.push(read(&message));
        }
        Ok(letters)
    }

    /// The letter with this id.
    pub async fn show(&self, id: &str) -> Result<Option<DeadLetter>, DeadLetterError> {
        Ok(self.list(LOOKED_THROUGH).await?.into_iter().find(|letter| letter.id == id))
    }

    /// Publishes letters again where they came from. Returns how many were found.
    pub async fn requeue(&self, ids: &BTreeSet<String>) -> Result<usize, DeadLetterError> {
        self.act(ids, Action::Requeue).await
    }

    /// Forgets letters. Returns how many were found.
    pub async fn drop(&self, ids: &BTreeSet<String>) -> Result<usize, DeadLetterError> {
        self.act(ids, Action::Drop).await
    }

    async fn act(&self, ids: &BTreeSet<String>, action: Action) -> Result<usize, DeadLetterError> {
        let channel = self.channel().await?;
        let (mut looked_through, mut found) = (0, 0);
        while looked_through < LOOKED_THROUGH
            && let Some(message) = self.get(&channel).await?
        {
            looked_through += 1;
            let letter = read(&message);
            if ids.contains(&letter.id) {
                if action == Action::Requeue {
                    self.publish(letter).await?;
                }
                // Acknowledged only when the broker has it elsewhere: a crash in between leaves two, not none.
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
        Ok(self.topology.declare(&self.broker, channel).await?)
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
