//! The exchanges and queues of the broker, for RabbitMQ 3.10 to 4.x.
//!
//! Invariant: declaring is idempotent and complete, so whoever opens a channel declares first, and a queue that
//! was deleted under us comes back with the next channel.

use lapin::{
    Channel, ExchangeKind,
    options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable, LongString},
};

/// RabbitMQ 4 gives quorum queues a limit of 20 deliveries unless told otherwise. The row's own `attempt` bounds
/// retries; the broker must not end an execution because workers were restarted often, nor lose a dead letter that
/// was looked at often. (3.10 knows no "unlimited".)
const DELIVERY_LIMIT: i64 = 1_000_000;

/// Names of the exchanges and queues. An exchange has the name of the queue it feeds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topology {
    /// Direct exchange and quorum queue of [`crate::message::ExecutionMessage`].
    pub executions: String,
    /// Topic exchange and quorum queue of [`crate::message::EventMessage`]; key `<workspace_slug>.<event_type>`.
    pub events: String,
    /// Where messages end that nobody can handle, with the reason in a header.
    pub dead: String,
}

impl Default for Topology {
    fn default() -> Self {
        Self::prefixed("")
    }
}

impl Topology {
    /// The names with something in front, for installations that share a virtual host.
    #[must_use]
    pub fn prefixed(prefix: &str) -> Self {
        Self {
            executions: format!("{prefix}runnerctl.executions"),
            events: format!("{prefix}runnerctl.events"),
            dead: format!("{prefix}runnerctl.dead"),
        }
    }

    /// Declares everything, dead letters first since the others point there.
    pub async fn declare(&self, channel: &Channel) -> lapin::Result<()> {
        self.declare_pair(channel, &self.dead, ExchangeKind::Fanout, quorum()).await?;
        self.declare_pair(channel, &self.executions, ExchangeKind::Direct, self.dead_lettering()).await?;
        self.declare_pair(channel, &self.events, ExchangeKind::Topic, self.dead_lettering()).await
    }

    async fn declare_pair(
        &self,
        channel: &Channel,
        name: &str,
        kind: ExchangeKind,
        arguments: FieldTable,
    ) -> lapin::Result<()> {
        let binding_key = match kind {
            ExchangeKind::Topic => "#",
            _ => name,
        };
        let durable = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
        channel.exchange_declare(name.into(), kind, durable, FieldTable::default()).await?;
        let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        channel.queue_declare(name.into(), durable, arguments).await?;
        let options = QueueBindOptions::default();
        channel.queue_bind(name.into(), name.into(), binding_key.into(), options, FieldTable::default()).await
    }

    fn dead_lettering(&self) -> FieldTable {
        let mut arguments = quorum();
        arguments.insert("x-dead-letter-exchange".into(), text(&self.dead));
        // A dead letter is moved with confirms, so a restart in between does not lose it …
        arguments.insert("x-dead-letter-strategy".into(), text("at-least-once"));
        // … which RabbitMQ offers only together with this overflow behaviour.
        arguments.insert("x-overflow".into(), text("reject-publish"));
        arguments
    }
}

/// Replicated and fsynced: the only queue type that survives the loss of a node without losing messages.
fn quorum() -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), text("quorum"));
    arguments.insert("x-delivery-limit".into(), AMQPValue::LongLongInt(DELIVERY_LIMIT));
    arguments
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(LongString::from(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_names_are_those_of_the_contract() {
        let topology = Topology::default();
        assert_eq!(topology.executions, "runnerctl.executions");
        assert_eq!(topology.events, "runnerctl.events");
        assert_eq!(topology.dead, "runnerctl.dead");
    }

    #[test]
    fn a_prefix_is_on_every_name() {
        assert_eq!(Topology::prefixed("t1.").dead, "t1.runnerctl.dead");
    }
}
