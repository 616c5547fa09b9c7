//! From a commit to the broker, and from the broker to a commit, on a real broker.
//!
//! On several threads, so that what a test leaves behind ends while its database is dropped: a connection that is
//! half-way through its log-in would hold that up for a minute.

mod broker;
mod burial;
mod express;
mod ingest;
mod relay;
mod retention;
mod schedules;
mod topology;

use lapin::options::QueueDeleteOptions;
use shared::amqp::{Broker, Consumer, Delivery, Publication, Publisher, Topology};
use std::time::Duration;
use test_support::TestQueues;

/// For what takes milliseconds on an idle machine.
const LIMIT: Duration = Duration::from_secs(20);

/// Queues of one test's own.
struct Queues {
    broker: Broker,
    topology: Topology,
}

impl Queues {
    fn create() -> Self {
        let queues = TestQueues::create();
        Self { broker: connect(queues.url()), topology: Topology::with_prefix(queues.prefix()) }
    }

    /// Takes executions from the queue as a worker does.
    fn executions(&self) -> Consumer {
        Consumer::new(self.broker.clone(), self.topology.clone(), self.topology.executions.clone(), 100)
    }

    async fn publish_event(&self, body: &str) {
        let publisher = self.publisher();
        publisher.ready().await.unwrap();
        let publication = Publication {
            exchange: self.topology.events.clone(),
            routing_key: "demo.test".to_owned(),
            body: body.as_bytes().to_vec(),
            headers: Vec::new(),
        };
        publisher.publish(&[publication]).await.pop().unwrap().unwrap();
    }

    fn publisher(&self) -> Publisher {
        Publisher::new(self.broker.clone(), self.topology.clone())
    }

    /// Puts a message into the queue of executions, as the relay does.
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

    async fn delete(&self, queue: &str) {
        let channel = self.broker.channel().await.unwrap();
        channel.queue_delete(queue.into(), QueueDeleteOptions::default()).await.unwrap();
    }

    async fn ready(&self, queue: &str) -> u32 {
        self.broker.ready_messages(queue).await.unwrap()
    }
}

fn connect(url: &str) -> Broker {
    Broker::connect(url, "test").unwrap()
}

/// The next message, which must come.
async fn next(consumer: &mut Consumer) -> Delivery {
    tokio::time::timeout(LIMIT, consumer.next()).await.expect("a message in time").unwrap()
}

/// Asks again until the answer is yes.
async fn until(what: &str, mut ask: impl AsyncFnMut() -> bool) {
    let asking = async {
        while !ask().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(LIMIT, asking).await.unwrap_or_else(|_| panic!("not in time: {what}"));
}
