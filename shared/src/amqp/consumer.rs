//! Consumer of one queue that lives as long as the process.
//!
//! Invariant: the consumer subscribes again when the broker cancels, forgets or does not answer it, and when its
//! channel or connection is lost. Messages that were unacknowledged then are delivered again, to any consumer.

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

/// Maximum time without a delivery. After it, a consumer without unsettled deliveries subscribes again. When a quorum
/// queue is deleted and declared again within about 30 ms, RabbitMQ 3.10 moves its consumers to the new queue without
/// notice, and then does not deliver to them.
const MAX_SILENCE: Duration = Duration::from_secs(10);

/// Endless subscription to one queue.
#[derive(Debug)]
pub struct Consumer {
    broker: Broker,
    topology: Topology,
    queue: String,
    prefetch: u16,
    subscription: Option<Subscription>,
    backoff: Backoff,
    /// Counter of unsettled deliveries: each holds a clone.
    unsettled: Arc<()>,
}

/// Errors of subscribing.
#[derive(Debug, thiserror::Error)]
enum SubscribeError {
    #[error(transparent)]
    Declare(#[from] DeclareError),
    #[error(transparent)]
    Broker(#[from] lapin::Error),
    /// The runtime is shutting down, or the AMQP library panicked.
    #[error(transparent)]
    Task(#[from] tokio::task::JoinError),
}

#[derive(Debug)]
struct Subscription {
    channel: Channel,
    deliveries: lapin::Consumer,
}

impl Consumer {
    /// Makes a consumer that subscribes with the first call of [`Consumer::next`]. For back-pressure, at most
    /// `prefetch` messages are unacknowledged at a time.
    #[must_use]
    pub fn new(broker: Broker, topology: Topology, queue: String, prefetch: u16) -> Self {
        let (backoff, unsettled) = (Backoff::CONNECTION, Arc::new(()));
        Self { broker, topology, queue, prefetch, subscription: None, backoff, unsettled }
    }

    /// Returns the next message, waiting through every outage. `None` once [`Broker::close`] was called.
    ///
    /// Cancel safe: a message is either returned or stays with the subscription.
    pub async fn next(&mut self) -> Option<Delivery> {
        loop {
            if let Some(delivery) = self.receive().await {
                return Some(delivery);
            }
            let channel = self.broker.channel().await?;
            match timeout(SETUP_TIMEOUT, self.subscribe(channel)).await {
                Ok(Ok(subscription)) => self.subscription = Some(subscription),
                Ok(Err(error)) => {
                    tracing::warn!(%error, queue = self.queue, "can't subscribe to a queue");
                    self.backoff.wait().await;
                }
                Err(_) => tracing::warn!(queue = self.queue, "the broker does not answer a subscription"),
            }
        }
    }

    /// Returns the next message of the subscription. `None` if there is no subscription or it was lost.
    async fn receive(&mut self) -> Option<Delivery> {
        let received = loop {
            match timeout(MAX_SILENCE, self.subscription.as_mut()?.deliveries.next()).await {
                Err(_) if Arc::strong_count(&self.unsettled) > 1 => {}
                received => break received,
            }
        };
        match received {
            Ok(Some(Ok(message))) => {
                self.backoff.reset();
                return Some(self.delivery(message));
            }
            Ok(Some(Err(ref error))) => {
                tracing::warn!(%error, queue = self.queue, "the subscription was lost");
            }
            Ok(None) => tracing::warn!(queue = self.queue, "the broker cancelled the subscription"),
            Err(_) => tracing::debug!(queue = self.queue, "no delivery for some time, subscribing again"),
        }
        // Closes its channel. Messages that were sent on it and not received are requeued.
        self.subscription = None;
        if received.is_ok() {
            self.backoff.wait().await;
        }
        None
    }

    fn delivery(&self, message: AmqpDelivery) -> Delivery {
        Delivery { message, _unsettled: Arc::clone(&self.unsettled) }
    }

    /// Subscribes in a task of its own, which continues when the caller stops waiting. A late subscription is then
    /// dropped as a whole, and its channel closes. If it were cancelled half-way, it would still receive messages that
    /// are never read.
    async fn subscribe(&self, channel: Channel) -> Result<Subscription, SubscribeError> {
        let (topology, queue, prefetch) = (self.topology.clone(), self.queue.clone(), self.prefetch);
        let subscribing = tokio::spawn(async move {
            topology.declare(&channel).await?;
            channel.basic_qos(prefetch, BasicQosOptions::default()).await?;
            let (queue, options) = (queue.as_str().into(), BasicConsumeOptions::default());
            let deliveries = channel.basic_consume(queue, "".into(), options, FieldTable::default()).await?;
            Ok::<_, SubscribeError>(Subscription { channel, deliveries })
        });
        subscribing.await?
    }

    /// Cancels the subscription and requeues messages that were sent but not yet received. Deliveries received earlier
    /// can be acknowledged as long as the returned guard lives.
    pub async fn stop(mut self) -> StoppedConsumer {
        let Some(Subscription { channel, mut deliveries }) = self.subscription.take() else {
            return StoppedConsumer { _channel: None };
        };
        let cancelling = channel.basic_cancel(deliveries.tag(), BasicCancelOptions::default());
        match timeout(SETUP_TIMEOUT, cancelling).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::debug!(%error, queue = self.queue, "the subscription had already ended");
                return StoppedConsumer { _channel: None };
            }
            // Messages that are still sent on the channel are delivered again once it closes.
            Err(_) => return StoppedConsumer { _channel: Some(channel) },
        }
        let requeue_all = async {
            while let Some(Ok(message)) = deliveries.next().await {
                self.delivery(message).requeue().await;
            }
        };
        if timeout(SETUP_TIMEOUT, requeue_all).await.is_err() {
            tracing::warn!(
                queue = self.queue,
                "prefetched messages are requeued only when the channel closes"
            );
        }
        StoppedConsumer { _channel: Some(channel) }
    }
}

/// Guard that keeps the channel of a stopped consumer open for late acknowledgements.
#[derive(Debug)]
#[must_use = "dropping it closes the channel, and unacknowledged messages are delivered again"]
pub struct StoppedConsumer {
    _channel: Option<Channel>,
}

/// Message that belongs to this consumer until it is acknowledged or requeued. Dropping it settles nothing: the broker
/// delivers it again when the channel closes.
#[derive(Debug)]
pub struct Delivery {
    message: AmqpDelivery,
    _unsettled: Arc<()>,
}

impl Delivery {
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.message.data
    }

    /// Returns the routing key with which the message was published.
    #[must_use]
    pub fn routing_key(&self) -> &str {
        self.message.routing_key.as_str()
    }

    /// Returns whether the broker may have delivered the message before.
    #[must_use]
    pub const fn redelivered(&self) -> bool {
        self.message.redelivered
    }

    /// Returns the publisher's timestamp in whole seconds, if it set one.
    #[must_use]
    pub fn published_at(&self) -> Option<DateTime<Utc>> {
        let seconds = *self.message.properties.timestamp().as_ref()?;
        DateTime::from_timestamp(i64::try_from(seconds).ok()?, 0)
    }

    /// Returns the value of a header, if it is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        match self.message.properties.headers().as_ref()?.inner().get(name)? {
            AMQPValue::LongString(value) => Some(String::from_utf8_lossy(value.as_bytes()).into_owned()),
            AMQPValue::ShortString(value) => Some(value.as_str().to_owned()),
            _ => None,
        }
    }

    /// Acknowledges the message: the broker deletes it.
    pub async fn ack(self) {
        let answer = self.message.ack(BasicAckOptions::default()).await;
        report(answer, "ack");
    }

    /// Requeues the message: the broker delivers it again, to any consumer.
    pub async fn requeue(self) {
        let answer = self.message.nack(BasicNackOptions { requeue: true, multiple: false }).await;
        report(answer, "requeue");
    }
}

/// Logs an acknowledgement that could not be sent. It needs no handling: the channel has closed, so the broker delivers
/// the message again, and the second delivery finds the work done.
fn report(answer: lapin::Result<bool>, settlement: &'static str) {
    match answer {
        Ok(true) => {}
        Ok(false) => tracing::debug!(settlement, "a delivery can't be settled: its channel has closed"),
        Err(error) => tracing::debug!(%error, settlement, "a delivery can't be settled"),
    }
}
