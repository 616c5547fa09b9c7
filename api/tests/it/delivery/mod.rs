//! Delivery of executions and events over a real broker.
//!
//! The tests use several threads, so that tasks that a test leaves behind end while its database is dropped. A
//! connection that is still logging in would delay that by a minute.

mod broker;
mod dead_lettering;
mod fast_path;
mod ingest;
mod relay;
mod retention;
mod schedules;
mod topology;

use lapin::{
    options::{BasicGetOptions, QueueDeleteOptions},
    types::AMQPValue,
};
use shared::amqp::{Broker, Consumer, Delivery, Publication, Publisher, Topology};
use std::time::Duration;
use test_support::TestQueues;

/// Limits the seconds of an operation that takes milliseconds on an idle machine.
const LIMIT: Duration = Duration::from_secs(20);

/// Queues of a single test.
struct Queues {
    broker: Broker,
    topology: Topology,
}

impl Queues {
    fn create() -> Self {
        let queues = TestQueues::create();
        Self { broker: connect(queues.url()), topology: Topology::with_prefix(queues.prefix()) }
    }

    /// Returns a consumer of executions like a worker's.
    fn executions(&self) -> Consumer {
        Consumer::new(self.broker.clone(), self.topology.clone(), self.topology.executions.clone(), 100)
    }

    /// Publishes an event with the routing key of the workspace that its body names, or of `demo`.
    async fn publish_event(&self, body: &str) {
        let named = serde_json::from_str::<serde_json::Value>(body).unwrap_or_default();
        let slug = named["workspace_slug"].as_str().unwrap_or("demo");
        self.publish_event_to(&format!("{slug}.test"), body).await;
    }

    async fn publish_event_to(&self, routing_key: &str, body: &str) {
        let publisher = self.publisher();
        publisher.ready().await.unwrap();
        let publication = Publication {
            exchange: self.topology.events.clone(),
            routing_key: routing_key.to_owned(),
            body: body.as_bytes().to_vec(),
            headers: Vec::new(),
        };
        publisher.publish(&[publication]).await.pop().unwrap().unwrap();
    }

    fn publisher(&self) -> Publisher {
        Publisher::new(self.broker.clone(), self.topology.clone())
    }

    /// Publishes a message to the queue of executions, like the relay.
    async fn publish_message(&self, body: &str) {
        let publisher = self.publisher();
        publisher.ready().await.unwrap();
        publisher.publish(&[self.message(body)]).await.pop().unwrap().unwrap();
    }

    fn message(&self, body: &str) -> Publication {
        Publication {
            exchange: self.topology.executions.clone(),
            routing_key: self.topology.executions.clone(),
            body: body.as_bytes().to_vec(),
            headers: Vec::new(),
        }
    }

    /// Returns the letters of the dead-letter queue, which stay in it.
    async fn letters(&self) -> Vec<Letter> {
        let channel = self.broker.channel().await.unwrap();
        let mut letters = Vec::new();
        let get = || channel.basic_get(self.topology.dead.as_str().into(), BasicGetOptions::default());
        while let Ok(Some(message)) = get().await {
            letters.push(Letter::of(&message.delivery));
        }
        // Puts them back.
        channel.close(200, "".into()).await.ok();
        letters
    }

    /// Waits until the dead-letter queue has this many letters, and returns them.
    ///
    /// They are read once: the broker puts back those of an earlier look a moment later.
    async fn until_letters(&self, count: usize) -> Vec<Letter> {
        let mut letters = Vec::new();
        until("the dead letters", async || {
            letters = self.letters().await;
            letters.len() == count
        })
        .await;
        letters
    }

    async fn delete(&self, queue: &str) {
        let channel = self.broker.channel().await.unwrap();
        channel.queue_delete(queue.into(), QueueDeleteOptions::default()).await.unwrap();
    }

    async fn ready(&self, queue: &str) -> u32 {
        self.broker.ready_messages(queue).await.unwrap()
    }
}

/// A message of the dead-letter queue.
#[derive(Debug)]
struct Letter {
    reason: String,
    exchange: String,
    routing_key: String,
    body: Vec<u8>,
}

impl Letter {
    fn of(message: &lapin::message::Delivery) -> Self {
        let header = |name: &str| match message
            .properties
            .headers()
            .as_ref()
            .and_then(|table| table.inner().get(name))
        {
            Some(AMQPValue::LongString(text)) => text.to_string(),
            _ => String::new(),
        };
        Self {
            reason: header("x-reason"),
            exchange: header("x-exchange"),
            routing_key: message.routing_key.to_string(),
            body: message.data.clone(),
        }
    }
}

fn connect(url: &str) -> Broker {
    Broker::connect(url, "test").unwrap()
}

/// Waits for the next message.
async fn next(consumer: &mut Consumer) -> Delivery {
    tokio::time::timeout(LIMIT, consumer.next()).await.expect("a message in time").unwrap()
}

/// Polls until the condition holds.
async fn until(condition: &str, mut holds: impl AsyncFnMut() -> bool) {
    let polling = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(LIMIT, polling).await.unwrap_or_else(|_| panic!("not in time: {condition}"));
}
