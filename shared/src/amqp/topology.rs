//! Exchanges and queues of the broker, for RabbitMQ 3.10 to 4.x.
//!
//! Invariant: declaring is idempotent and complete. Every new channel declares the topology first, so a queue that was
//! deleted at run time is declared again with the next channel.

use lapin::{
    Channel, ErrorKind, ExchangeKind,
    options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions},
    protocol::{AMQPErrorKind, AMQPSoftError},
    types::{AMQPValue, FieldTable, LongString},
};

/// Maximum number of deliveries of one message. RabbitMQ 4 limits quorum queues to 20 by default, and RabbitMQ 3.10 has
/// no value for "unlimited". The column `attempt` bounds retries: the broker must not end an execution because workers
/// restarted often, nor lose a dead letter that could not be stored for long.
const DELIVERY_LIMIT: i64 = 1_000_000;

/// Names of the exchanges and queues. An exchange has the same name as the queue it feeds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topology {
    /// Direct exchange and quorum queue of [`crate::message::ExecutionMessage`].
    pub executions: String,
    /// Topic exchange and quorum queue of [`crate::message::EventMessage`], with the key
    /// `<workspace_slug>.<event_type>`.
    pub events: String,
    /// Fanout exchange and quorum queue of messages that cannot be processed, with the reason in a header.
    pub dead: String,
}

/// Errors of declaring exchanges and queues.
#[derive(Debug, thiserror::Error)]
pub enum DeclareError {
    #[error(transparent)]
    Broker(#[from] lapin::Error),
    /// The queue exists with other arguments.
    #[error(
        "queue {queue} exists with arguments other than RunnerCtl's: delete it once it is empty, and it is declared \
         again ({error})"
    )]
    IncompatibleQueue { queue: String, error: lapin::Error },
}

/// Exchange and the queue it feeds.
#[derive(Clone, Copy, Debug)]
struct ExchangeAndQueue<'a> {
    /// Name of both.
    name: &'a str,
    /// Exchange for dead letters. `None` for the dead letters themselves.
    dead: Option<&'a str>,
    is_topic: bool,
}

impl Default for Topology {
    fn default() -> Self {
        Self::with_prefix("")
    }
}

impl Topology {
    /// Makes names with a prefix, for installations that share a virtual host.
    #[must_use]
    pub fn with_prefix(prefix: &str) -> Self {
        Self {
            executions: format!("{prefix}runnerctl.executions"),
            events: format!("{prefix}runnerctl.events"),
            dead: format!("{prefix}runnerctl.dead"),
        }
    }

    /// Declares all exchanges and queues. Dead letters come first, since the others refer to them.
    pub async fn declare(&self, channel: &Channel) -> Result<(), DeclareError> {
        let dead = Some(self.dead.as_str());
        for declared in [
            ExchangeAndQueue { name: &self.dead, dead: None, is_topic: false },
            ExchangeAndQueue { name: &self.executions, dead, is_topic: false },
            ExchangeAndQueue { name: &self.events, dead, is_topic: true },
        ] {
            declared.declare(channel).await?;
        }
        Ok(())
    }
}

impl ExchangeAndQueue<'_> {
    async fn declare(&self, channel: &Channel) -> Result<(), DeclareError> {
        self.declare_exchange(channel).await?;
        self.declare_queue(channel).await.map_err(|error| {
            if is_precondition_failed(&error) {
                DeclareError::IncompatibleQueue { queue: self.name.to_owned(), error }
            } else {
                error.into()
            }
        })?;
        Ok(self.bind(channel).await?)
    }

    async fn declare_exchange(&self, channel: &Channel) -> lapin::Result<()> {
        let kind = match self {
            Self { dead: None, .. } => ExchangeKind::Fanout,
            Self { is_topic: true, .. } => ExchangeKind::Topic,
            Self { .. } => ExchangeKind::Direct,
        };
        let durable = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
        channel.exchange_declare(self.name.into(), kind, durable, FieldTable::default()).await
    }

    async fn declare_queue(&self, channel: &Channel) -> lapin::Result<()> {
        let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        channel.queue_declare(self.name.into(), durable, self.arguments()).await?;
        Ok(())
    }

    async fn bind(&self, channel: &Channel) -> lapin::Result<()> {
        let key = if self.is_topic { "#" } else { self.name };
        let (queue, exchange, options) = (self.name.into(), self.name.into(), QueueBindOptions::default());
        channel.queue_bind(queue, exchange, key.into(), options, FieldTable::default()).await
    }

    /// Arguments of the queue. The broker moves rejected messages to the dead letters at most once, which is without a
    /// confirm. That serves messages that other programs reject, and the delivery limit. The api and the worker publish
    /// dead letters with a confirm before they acknowledge the original.
    fn arguments(&self) -> FieldTable {
        let mut arguments = quorum();
        if let Some(dead) = self.dead {
            arguments.insert("x-dead-letter-exchange".into(), text(dead));
        }
        arguments
    }
}

fn is_precondition_failed(error: &lapin::Error) -> bool {
    let precondition_failed = AMQPErrorKind::Soft(AMQPSoftError::PRECONDITIONFAILED);
    matches!(error.kind(), ErrorKind::ProtocolError(error) if *error.kind() == precondition_failed)
}

/// Arguments of a quorum queue. It is replicated and written to disk: the only queue type that survives the loss of a
/// node without losing messages.
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
        assert_eq!(Topology::with_prefix("t1.").dead, "t1.runnerctl.dead");
    }
}
