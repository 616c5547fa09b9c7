//! Existing queues whose arguments differ from RunnerCtl's.

use super::Queues;
use lapin::{
    options::QueueDeclareOptions,
    types::{AMQPValue, FieldTable},
};
use shared::amqp::DeclareError;

impl Queues {
    /// Declares the queue of executions with additional arguments.
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
async fn a_queue_with_foreign_arguments_is_refused_by_name() {
    let queues = Queues::create();
    queues.declare_executions(&[("x-overflow", "drop-head")]).await.unwrap();
    let refused = queues.topology.declare(&queues.broker.channel().await.unwrap()).await;
    let Err(DeclareError::IncompatibleQueue { ref queue, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!(*queue, queues.topology.executions);
}
