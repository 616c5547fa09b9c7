//! Consumes one queue for as long as the process lives.
//!
//! Invariant: a consumer that the broker cancelled, or whose channel or connection was lost, subscribes again by
//! itself; what was unacknowledged then is delivered again, to whoever is there.

use super::{Broker, Topology};
use crate::backoff::Backoff;
use chrono::{DateTime, Utc};
use futures_util::StreamExt;
use lapin::{
    Channel,
    message::Delivery as AmqpDelivery,
    options::{
        BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions,
        BasicRejectOptions,
    },
    types::{AMQPValue, FieldTable},
};

/// An endless subscription to one queue.
#[derive(Debug)]
pub struct Consumer {
    broker: Broker,
    topology: Topology,
    queue: String,
    prefetch: u16,
    subscription: Option<Subscription>,
    backoff: Backoff,
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
        Self { broker, topology, queue, prefetch, subscription: None, backoff: Backoff::CONNECTION }
    }

    /// The next message, waiting through every outage. None once the broker was closed.
    ///
    /// Cancel safe: a message is either returned or still with the subscription.
    pub async fn next(&mut self) -> Option<Delivery> {
        loop {
            if let Some(subscription) = &mut self.subscription {
                match subscription.deliveries.next().await {
                    Some(Ok(delivery)) => {
                        self.backoff.reset();
                        return Some(Delivery(delivery));
                    }
                    Some(Err(error)) => tracing::warn!(%error, queue = self.queue, "subscription lost"),
                    None => tracing::warn!(queue = self.queue, "the broker cancelled the subscription"),
                }
                self.subscription = None;
                self.backoff.wait().await;
            }
            let channel = self.broker.channel().await?;
            match self.subscribe(channel).await {
                Ok(subscription) => self.subscription = Some(subscription),
                Err(error) => {
                    tracing::warn!(%error, queue = self.queue, "can't subscribe");
                    self.backoff.wait().await;
                }
            }
        }
    }

    async fn subscribe(&self, channel: Channel) -> lapin::Result<Subscription> {
        self.topology.declare(&channel).await?;
        channel.basic_qos(self.prefetch, BasicQosOptions::default()).await?;
        let options = BasicConsumeOptions::default();
        let deliveries = channel
            .basic_consume(self.queue.as_str().into(), "".into(), options, FieldTable::default())
            .await?;
        Ok(Subscription { channel, deliveries })
    }

    /// Asks for no more, and gives back what had already been sent here but was not yet taken. Deliveries taken
    /// earlier can still be acknowledged as long as the returned guard lives.
    pub async fn stop(mut self) -> Stopped {
        let Some(Subscription { channel, mut deliveries }) = self.subscription.take() else {
            return Stopped { _channel: None };
        };
        let cancelled = channel.basic_cancel(deliveries.tag(), BasicCancelOptions::default()).await;
        if let Err(error) = cancelled {
            tracing::debug!(%error, queue = self.queue, "the subscription was already gone");
            return Stopped { _channel: None };
        }
        while let Some(Ok(delivery)) = deliveries.next().await {
            Delivery(delivery).requeue().await;
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

/// A message that is ours until it is acknowledged, given back or refused. Dropping it decides nothing: the broker
/// delivers it again when the channel ends.
#[derive(Debug)]
pub struct Delivery(AmqpDelivery);

impl Delivery {
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.0.data
    }

    /// The routing key it was published with.
    #[must_use]
    pub fn routing_key(&self) -> &str {
        self.0.routing_key.as_str()
    }

    /// Whether the broker may have delivered it before.
    #[must_use]
    pub const fn redelivered(&self) -> bool {
        self.0.redelivered
    }

    /// When its publisher says it was published, if it says; whole seconds.
    #[must_use]
    pub fn published_at(&self) -> Option<DateTime<Utc>> {
        let seconds = *self.0.properties.timestamp().as_ref()?;
        DateTime::from_timestamp(i64::try_from(seconds).ok()?, 0)
    }

    /// A header with a text value.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        match self.0.properties.headers().as_ref()?.inner().get(name)? {
            AMQPValue::LongString(value) => Some(String::from_utf8_lossy(value.as_bytes()).into_owned()),
            AMQPValue::ShortString(value) => Some(value.as_str().to_owned()),
            _ => None,
        }
    }

    /// Done: the broker forgets it.
    pub async fn ack(self) {
        let answer = self.0.ack(BasicAckOptions::default()).await;
        report(answer, "ack");
    }

    /// Not done: the broker delivers it again, to anyone.
    pub async fn requeue(self) {
        let answer = self.0.nack(BasicNackOptions { requeue: true, multiple: false }).await;
        report(answer, "requeue");
    }

    /// Can't be handled by anyone: to the dead letters.
    pub async fn reject(self) {
        let answer = self.0.reject(BasicRejectOptions { requeue: false }).await;
        report(answer, "reject");
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
