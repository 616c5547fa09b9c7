//! Queues that stand with other arguments than this version gives them.

use super::{Queues, next};
use lapin::{
    options::QueueDeclareOptions,
    types::{AMQPValue, FieldTable},
};
use shared::amqp::{DeadLetterError, DeadLetters, DeclareError};

/// As installations of before docs/adr/0012 have it, and as they have it since.
const FORMER: [(&str, &str); 2] =
    [("x-dead-letter-strategy", "at-least-once"), ("x-overflow", "reject-publish")];

impl Queues {
    /// Declares the queue of executions with these arguments besides those it always had.
    async fn declare_executions(&self, arguments: &[(&str, &str)]) -> lapin::Result<()> {
        let text = |text: &str| AMQPValue::LongString(text.into());
        let mut table = FieldTable::default();
        table.insert("x-queue-type".into(), text("quorum"));
        table.insert("x-delivery-limit".into(), AMQPValue::LongLongInt(1_000_000));
        table.insert("x-dead-letter-exchange".into(), text(&self.topology.dead));
        for (name, value) in arguments {
            table.insert((*name).into(), text(value));
        }
        let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        let channel = self.broker.channel().await.unwrap();
        channel.queue_declare(self.topology.executions.as_str().into(), durable, table).await?;
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_of_the_version_before_serves_on_and_comes_back_as_this_versions_when_it_is_deleted() {
    let queues = Queues::create();
    queues.declare_executions(&FORMER).await.unwrap();
    queues.publish_message("one").await;
    let mut consumer = queues.executions();
    next(&mut consumer).await.ack().await;
    queues.declare_executions(&FORMER).await.expect("it was left as it is");
    drop(consumer);

    queues.delete(&queues.topology.executions).await;
    queues.publish_message("two").await;
    queues.declare_executions(&[]).await.expect("it has this version's arguments");
    assert_eq!(next(&mut queues.executions()).await.body(), b"two");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_of_no_version_is_refused_by_name() {
    let queues = Queues::create();
    queues.declare_executions(&[("x-overflow", "drop-head")]).await.unwrap();
    let refused = DeadLetters::new(queues.broker.clone(), queues.topology.clone()).list(1).await;
    let Err(DeadLetterError::Declare(DeclareError::Foreign { ref queue, .. })) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(*queue, queues.topology.executions);
}
