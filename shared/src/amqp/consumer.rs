//! Consumes one queue for as long as the process lives.
//!
//! Invariant: a consumer that the broker cancelled, forgot or left without an answer, or whose channel or connection
//! was lost, subscribes again by itself; what was unacknowledged then is delivered again, to whoever is there.

use super::{Broker, SETUP_TIMEOUT, Topology, topology::DeclareError};
use crate::backoff::Backoff;
use chrono::{DateTime, Utc};
use futures_util::StreamExt;
use lapin::{
    Channel,
    message::Delivery as AmqpDelivery,
    options::{BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions},
    types::{AMQPValue, FieldTable},
};
use std::{sync::Arc, time::Duration};
use tokio::time::timeout;

/// A consumer that heard nothing for this long, and owes nothing then, subscribes again. When a quorum queue is deleted
/// and declared again within some 30 ms, RabbitMQ 3.10 moves its consumers to the new queue without telling them, and
/// then keeps what it should deliver to them.
const SILENCE: Duration = Duration::from_secs(10);

/// An endless subscription to one queue.
#[derive(Debug)]
pub struct Consumer {
    broker: Broker,
    topology: Topology,
    queue: String,
    prefetch: u16,
    subscription: Option<Subscription>,
    backoff: Backoff,
    /// Each delivery holds a clone as long as it is undecided.
    undecided: Arc<()>,
}

/// Why there is no subscription.
#[derive(Debug, thiserror::Error)]
enum SubscribeError {
    #[error(transparent)]
    Declare(#[from] DeclareError),
    #[error(transparent)]
    Broker(#[from] lapin::Error),
    /// The runtime is ending, or the AMQP library panicked.
    #[error(transparent)]
    Task(#[from] tokio::task::JoinError),
}

#[derive(Debug)]
struct Subscription {
    channel: Channel,
    deliveries: lapin::Consumer,
}

impl Consumer {
    /// Subscribes with the first call of [`Consumer::next`]. The broker never has more than `prefetch` messages
    /// unacknowledged here, which is the back-pressure.
    #[must_use]
    pub fn new(broker: Broker, topology: Topology, queue: String, prefetch: u16) -> Self {
        let (backoff, undecided) = (Backoff::CONNECTION, Arc::new(()));
        Self { broker, topology, queue, prefetch, subscription: None, backoff, undecided }
    }

    /// The next message, waiting through every outage. None once the broker was closed.
    ///
    /// Cancel safe: a message is either returned or still with the subscription.
    pub async fn next(&mut self) -> Option<Delivery> {
        loop {
            if let Some(delivery) = self.listen().await {
                return Some(delivery);
            }
            let channel = self.broker.channel().await?;
            match timeout(SETUP_TIMEOUT, self.subscribe(channel)).await {
                Ok(Ok(subscription)) => self.subscription = Some(subscription),
                Ok(Err(error)) => {
                    tracing::warn!(%error, queue = self.queue, "can't subscribe");
                    self.backoff.wait().await;
                }
                Err(_) => tracing::warn!(queue = self.queue, "the broker does not answer a subscription"),
            }
        }
    }

    /// The next message of the subscription; None when there is no subscription any more.
    async fn listen(&mut self) -> Option<Delivery> {
        let heard = loop {
            match timeout(SILENCE, self.subscription.as_mut()?.deliveries.next()).await {
                Err(_) if Arc::strong_count(&self.undecided) > 1 => {}
                heard => break heard,
            }
        };
        match heard {
            Ok(Some(Ok(message))) => {
                self.backoff.reset();
                return Some(self.delivery(message));
            }
            Ok(Some(Err(ref error))) => tracing::warn!(%error, queue = self.queue, "subscription lost"),
            Ok(None) => tracing::warn!(queue = self.queue, "the broker cancelled the subscription"),
            Err(_) => tracing::debug!(queue = self.queue, "silence: subscribing again"),
        }
        // Its channel closes with it, and what it still was to deliver goes back to the queue.
        self.subscription = None;
        if heard.is_ok() {
            self.backoff.wait().await;
        }
        None
    }

    fn delivery(&self, message: AmqpDelivery) -> Delivery {
        Delivery { message, _undecided: Arc::clone(&self.undecided) }
    }

    /// In a task of its own, which goes on when nobody waits for it any more: a subscription that comes too late is
    /// dropped whole, and its channel closes. Given up half-way, it would go on receiving what nobody reads.
    async fn subscribe(&self, channel: Channel) -> Result<Subscription, SubscribeError> {
        let (broker, topology) = (self.broker.clone(), self.topology.clone());
        let (queue, prefetch) = (self.queue.clone(), self.prefetch);
        let subscribing = tokio::spawn(async move {
            let channel = topology.declare(&broker, channel).await?;
            channel.basic_qos(prefetch, BasicQosOptions::default()).await?;
            let (queue, options) = (queue.as_str().into(), BasicConsumeOptions::default());
            let deliveries = channel.basic_consume(queue, "".into(), options, FieldTable::default()).await?;
            Ok::<_, SubscribeError>(Subscription { channel, deliveries })
        });
        subscribing.await?
    }

    /// Asks for no more, and gives back what had already been sent here but was not yet taken. Deliveries taken
    /// earlier can still be acknowledged as long as the returned guard lives.
    pub async fn stop(mut self) -> Stopped {
        let Some(Subscription { channel, mut deliveries }) = self.subscription.take() else {
            return Stopped { _channel: None };
        };
        let cancelling = channel.basic_cancel(deliveries.tag(), BasicCancelOptions::default());
        match timeout(SETUP_TIMEOUT, cancelling).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::debug!(%error, queue = self.queue, "the subscription was already gone");
                return Stopped { _channel: None };
            }
            // What it still delivers comes again when the channel ends.
            Err(_) => return Stopped { _channel: Some(channel) },
        }
        let giving_back = async {
            while let Some(Ok(message)) = deliveries.next().await {
                self.delivery(message).requeue().await;
            }
        };
        if timeout(SETUP_TIMEOUT, giving_back).await.is_err() {
            tracing::warn!(queue = self.queue, "what was sent ahead goes back with the channel");
        }
        Stopped { _channel: Some(channel) }
    }
}

/// Keeps the channel of a stopped consumer open for late acknowledgements.
#[derive(Debug)]
#[must_use = "dropping it closes the channel, and what is unacknowledged is delivered again"]
pub struct Stopped {
    _channel: Option<Channel>,
}

/// A message that is ours until it is acknowledged or given back. Dropping it decides nothing: the broker
/// delivers it again when the channel ends.
#[derive(Debug)]
pub struct Delivery {
    message: AmqpDelivery,
    _undecided: Arc<()>,
}

impl Delivery {
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.message.data
    }

    /// The routing key it was published with.
    #[must_use]
    pub fn routing_key(&self) -> &str {
        self.message.routing_key.as_str()
    }

    /// Whether the broker may have delivered it before.
    #[must_use]
    pub const fn redelivered(&self) -> bool {
        self.message.redelivered
    }

    /// When its publisher says it was published, if it says; whole seconds.
    #[must_use]
    pub fn published_at(&self) -> Option<DateTime<Utc>> {
        let seconds = *self.message.properties.timestamp().as_ref()?;
        DateTime::from_timestamp(i64::try_from(seconds).ok()?, 0)
    }

    /// A header with a text value.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        match self.message.properties.headers().as_ref()?.inner().get(name)? {
            AMQPValue::LongString(value) => Some(String::from_utf8_lossy(value.as_bytes()).into_owned()),
            AMQPValue::ShortString(value) => Some(value.as_str().to_owned()),
            _ => None,
        }
    }

    /// Done: the broker forgets it.
    pub async fn ack(self) {
        let answer = self.message.ack(BasicAckOptions::default()).await;
        report(answer, "ack");
    }

    /// Not done: the broker delivers it again, to anyone.
    pub async fn requeue(self) {
        let answer = self.message.nack(BasicNackOptions { requeue: true, multiple: false }).await;
        report(answer, "requeue");
    }
}

/// An acknowledgement that can't be sent needs no handling: the channel is gone, so the broker delivers the message
/// again, and a second delivery finds the work done.
fn report(answer: lapin::Result<bool>, what: &'static str) {
    match answer {
        Ok(true) => {}
        Ok(false) => tracing::debug!(what, "the channel of this delivery is gone"),
        Err(error) => tracing::debug!(%error, what, "not acknowledged"),
    }
}
