//! The exchanges and queues of the broker, for RabbitMQ 3.10 to 4.x.
//!
//! Invariant: declaring is idempotent and complete, so whoever opens a channel declares first, and a queue that
//! was deleted under us comes back with the next channel. A queue that stands with the arguments of the version before
//! serves on until it is renewed (docs/adr/0012): programs of both versions run side by side.

use super::Broker;
use lapin::{
    Channel, ErrorKind, ExchangeKind,
    options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions},
    protocol::{AMQPErrorKind, AMQPSoftError},
    types::{AMQPValue, FieldTable, LongString},
};
use std::sync::atomic::{AtomicBool, Ordering};

/// RabbitMQ 4 gives quorum queues a limit of 20 deliveries unless told otherwise. The row's own `attempt` bounds
/// retries; the broker must not end an execution because workers were restarted often, nor lose a dead letter that
/// was looked at often. (3.10 knows no "unlimited".)
const DELIVERY_LIMIT: i64 = 1_000_000;

/// Once per process: it is told again with every start, and not with every channel.
static FORMER_TOLD: AtomicBool = AtomicBool::new(false);

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

/// Why exchanges and queues can't be declared.
#[derive(Debug, thiserror::Error)]
pub enum DeclareError {
    #[error(transparent)]
    Broker(#[from] lapin::Error),
    #[error("no connection to the broker")]
    Disconnected,
    /// Neither this version's queue nor that of the version before.
    #[error(
        "queue {queue} stands with arguments that no version of RunnerCtl gives it: delete it once it is empty, and \
         it is declared again ({error})"
    )]
    Foreign { queue: String, error: lapin::Error },
}

/// An exchange and the queue it feeds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair<'a> {
    /// Of both.
    pub(super) name: &'a str,
    /// The exchange that dead letters go to, unless these are dead letters.
    dead: Option<&'a str>,
    is_topic: bool,
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

    /// Declares everything, dead letters first since the others point there. Returns the channel to go on with: the
    /// broker closes one on which it refuses a declaration.
    pub(super) async fn declare(&self, broker: &Broker, channel: Channel) -> Result<Channel, DeclareError> {
        let mut channel = channel;
        for pair in self.pairs() {
            pair.declare_exchange(&channel).await?;
            match pair.declare_queue(&channel, pair.arguments()).await {
                Err(error) if is_precondition_failed(&error) => {
                    channel = broker.channel_now().await.ok_or(DeclareError::Disconnected)?;
                    pair.declare_former(&channel, error).await?;
                }
                declared => declared?,
            }
            pair.bind(&channel, pair.name).await?;
        }
        Ok(channel)
    }

    fn pairs(&self) -> [Pair<'_>; 3] {
        [Pair { name: &self.dead, dead: None, is_topic: false }, self.executions(), self.events()]
    }

    pub(super) fn executions(&self) -> Pair<'_> {
        Pair { name: &self.executions, dead: Some(&self.dead), is_topic: false }
    }

    pub(super) fn events(&self) -> Pair<'_> {
        Pair { name: &self.events, dead: Some(&self.dead), is_topic: true }
    }
}

impl Pair<'_> {
    async fn declare_exchange(&self, channel: &Channel) -> lapin::Result<()> {
        let kind = match self {
            Self { dead: None, .. } => ExchangeKind::Fanout,
            Self { is_topic: true, .. } => ExchangeKind::Topic,
            Self { .. } => ExchangeKind::Direct,
        };
        let durable = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
        channel.exchange_declare(self.name.into(), kind, durable, FieldTable::default()).await
    }

    pub(super) async fn declare_queue(&self, channel: &Channel, arguments: FieldTable) -> lapin::Result<()> {
        let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        channel.queue_declare(self.name.into(), durable, arguments).await?;
        Ok(())
    }

    /// Makes sure that a queue with other arguments is the one of the version before.
    async fn declare_former(&self, channel: &Channel, refused: lapin::Error) -> Result<(), DeclareError> {
        let declared = match self.former_arguments() {
            Some(former) => self.declare_queue(channel, former).await,
            None => Err(refused),
        };
        match declared {
            Err(error) if is_precondition_failed(&error) => {
                Err(DeclareError::Foreign { queue: self.name.to_owned(), error })
            }
            declared => {
                declared?;
                if !FORMER_TOLD.swap(true, Ordering::Relaxed) {
                    tracing::warn!(
                        queue = self.name,
                        "stands as the version before declared it; to be renewed (operator guide, upgrade) once no \
                         program of that version runs"
                    );
                }
                Ok(())
            }
        }
    }

    /// Has the exchange feed a queue, its own or another.
    pub(super) async fn bind(&self, channel: &Channel, queue: &str) -> lapin::Result<()> {
        let key = if self.is_topic { "#" } else { self.name };
        let (queue, exchange, options) = (queue.into(), self.name.into(), QueueBindOptions::default());
        channel.queue_bind(queue, exchange, key.into(), options, FieldTable::default()).await
    }

    /// A rejected message goes to the dead letters at most once. Ours are published there with a confirm before they
    /// are acknowledged; this is for what outside programs reject, and for the delivery limit.
    pub(super) fn arguments(&self) -> FieldTable {
        let mut arguments = quorum();
        if let Some(dead) = self.dead {
            arguments.insert("x-dead-letter-exchange".into(), text(dead));
        }
        arguments
    }

    /// As the version before declared it, if that was otherwise: with a strategy whose process in RabbitMQ 3.10 dies
    /// when a queue is deleted right after its leader's election, after which no such queue gets a leader.
    fn former_arguments(&self) -> Option<FieldTable> {
        self.dead?;
        let mut arguments = self.arguments();
        arguments.insert("x-dead-letter-strategy".into(), text("at-least-once"));
        arguments.insert("x-overflow".into(), text("reject-publish"));
        Some(arguments)
    }
}

pub(super) fn is_precondition_failed(error: &lapin::Error) -> bool {
    let precondition_failed = AMQPErrorKind::Soft(AMQPSoftError::PRECONDITIONFAILED);
    matches!(error.kind(), ErrorKind::ProtocolError(error) if *error.kind() == precondition_failed)
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
