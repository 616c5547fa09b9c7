//! Supervised connection to RabbitMQ.
//!
//! Invariant: callers request a channel and get one on a live connection as soon as there is one. Only the supervision
//! task here connects, watches the connection and reconnects.

use crate::{
    backoff::Backoff,
    telemetry::metrics::{CONNECTION_UP, RECONNECTS},
};
use futures_util::StreamExt;
use lapin::{
    Channel, Connection, ConnectionProperties, ErrorKind, Event,
    options::QueueDeclareOptions,
    protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError},
    types::FieldTable,
    uri::AMQPUri,
};
use std::{fmt, sync::Arc, time::Duration};
use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

/// Time limit of connecting and of opening a channel, for a broker that accepts a connection and does not answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Time limit of the closing handshake. RabbitMQ completes it only when every channel has ended, and a channel that
/// waits for a queue without a leader takes more than a minute. Unacknowledged messages are requeued without it, too.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// Heartbeat interval in seconds. A silently lost connection is noticed within two intervals. RabbitMQ's default is 60.
const HEARTBEAT_S: u16 = 10;

/// State of a connection, for health and metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConnectionState {
    /// Not connected.
    Connecting {
        /// Failed attempts since the last connection.
        failures: u32,
    },
    Connected,
    /// Connected, but the broker accepts no publishes because of a memory or disk alarm.
    Blocked {
        /// Reason as given by the broker.
        reason: String,
    },
    /// Closed by [`Broker::close`].
    Closed,
}

impl ConnectionState {
    /// Returns the name of the state for health responses.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Connecting { .. } => "connecting",
            Self::Connected => "connected",
            Self::Blocked { .. } => "blocked",
            Self::Closed => "closed",
        }
    }
}

/// Error of an `AMQP_URL` that is not an AMQP address. The text omits the address, which contains a password.
#[derive(Debug, thiserror::Error)]
#[error("not an AMQP address: {0}")]
pub struct InvalidAddress(String);

/// Error of an address that the broker refuses: user, password or virtual host are wrong. The text is the broker's, which
/// quotes no password.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the broker refuses the user, password or virtual host: {0}")]
pub struct RefusedAddress(String);

/// Failed attempt to connect.
#[derive(Clone, Debug)]
struct Failure {
    reason: String,
    /// True if the broker answered, and would refuse the same address again.
    is_refused: bool,
}

/// Handle of one supervised connection, shared by its clones. The connection closes with the last handle.
#[derive(Clone)]
pub struct Broker {
    shared: Arc<Shared>,
}

struct Shared {
    name: String,
    connection: watch::Receiver<Option<Arc<Connection>>>,
    state: watch::Receiver<ConnectionState>,
    failure: watch::Receiver<Option<Failure>>,
    closing: CancellationToken,
    _supervision: AbortOnDropHandle<()>,
}

impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Broker").field("name", &self.shared.name).field("state", &self.state()).finish()
    }
}

impl Broker {
    /// Starts to connect and retries forever. `name` is shown in RabbitMQ's tools and is a label of the metrics.
    pub fn connect(address: &str, name: &str) -> Result<Self, InvalidAddress> {
        let mut uri: AMQPUri = address.parse().map_err(InvalidAddress)?;
        uri.query.heartbeat.get_or_insert(HEARTBEAT_S);
        let (connection_sender, connection) = watch::channel(None);
        let (state_sender, state) = watch::channel(ConnectionState::Connecting { failures: 0 });
        let (failure_sender, failure) = watch::channel(None);
        let closing = CancellationToken::new();
        let supervision = Supervision {
            uri,
            name: name.to_owned(),
            connection: connection_sender,
            state: state_sender,
            failure: failure_sender,
            closing: closing.clone(),
        };
        let task = AbortOnDropHandle::new(tokio::spawn(supervision.run()));
        let shared =
            Shared { name: name.to_owned(), connection, state, failure, closing, _supervision: task };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Returns the name given to [`Broker::connect`].
    #[must_use]
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    #[must_use]
    pub fn state(&self) -> ConnectionState {
        self.shared.state.borrow().clone()
    }

    /// Waits for the first attempt to connect. An error means that no later attempt can succeed either; an unreachable
    /// broker is none.
    pub async fn check_address(&self) -> Result<(), RefusedAddress> {
        let (mut connections, mut failures) = (self.shared.connection.clone(), self.shared.failure.clone());
        let failure = tokio::select! {
            _connected = connections.wait_for(Option::is_some) => None,
            failed = failures.wait_for(Option::is_some) => failed.ok().and_then(|failure| failure.clone()),
        };
        match failure {
            Some(Failure { reason, is_refused: true }) => Err(RefusedAddress(reason)),
            _ => Ok(()),
        }
    }

    /// Returns the reason why the last attempt to connect failed, if it did.
    #[must_use]
    pub fn last_failure(&self) -> Option<String> {
        self.shared.failure.borrow().as_ref().map(|failure| failure.reason.clone())
    }

    /// Opens a channel and waits for the connection as long as necessary. `None` once [`Broker::close`] was called.
    pub async fn channel(&self) -> Option<Channel> {
        let mut connections = self.shared.connection.clone();
        let mut backoff = Backoff::CONNECTION;
        loop {
            let connection = connections.wait_for(Option::is_some).await.ok()?.clone()?;
            match tokio::time::timeout(CONNECT_TIMEOUT, connection.create_channel()).await {
                Ok(Ok(channel)) => return Some(channel),
                Ok(Err(error)) => tracing::debug!(%error, connection = self.name(), "can't open a channel"),
                Err(_) => {
                    tracing::warn!(connection = self.name(), "the broker does not open a channel in time");
                }
            }
            backoff.wait().await;
        }
    }

    /// Returns the number of ready messages in the queue, 0 if the queue does not exist. `None` if the broker does not
    /// answer.
    pub async fn ready_messages(&self, queue: &str) -> Option<u32> {
        let connection = self.shared.connection.borrow().clone()?;
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let ask = async {
            // On a channel of its own, because the broker closes the channel if the queue does not exist.
            let channel = connection.create_channel().await?;
            channel.queue_declare(queue.into(), passive, FieldTable::default()).await
        };
        match tokio::time::timeout(CONNECT_TIMEOUT, ask).await {
            Ok(Ok(answer)) => Some(answer.message_count()),
            Ok(Err(error)) if is_not_found(&error) => Some(0),
            Ok(Err(_)) | Err(_) => None,
        }
    }

    /// Closes the connection with a handshake, for which it waits at most [`CLOSE_TIMEOUT`]. Unacknowledged messages
    /// are requeued.
    pub async fn close(&self) {
        self.shared.closing.cancel();
        let mut states = self.shared.state.clone();
        // An error means that the supervision has ended, as it should.
        drop(states.wait_for(|state| *state == ConnectionState::Closed).await);
    }
}

fn is_not_found(error: &lapin::Error) -> bool {
    let not_found = AMQPErrorKind::Soft(AMQPSoftError::NOTFOUND);
    matches!(error.kind(), ErrorKind::ProtocolError(error) if *error.kind() == not_found)
}

/// Tells whether the broker rejected the user or password (403), or the virtual host (530).
fn is_refused(error: &lapin::Error) -> bool {
    let refusals =
        [AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED), AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED)];
    matches!(error.kind(), ErrorKind::ProtocolError(error) if refusals.contains(error.kind()))
}

struct Supervision {
    uri: AMQPUri,
    name: String,
    connection: watch::Sender<Option<Arc<Connection>>>,
    state: watch::Sender<ConnectionState>,
    failure: watch::Sender<Option<Failure>>,
    closing: CancellationToken,
}

impl Supervision {
    async fn run(self) {
        let closing = self.closing.clone();
        closing.run_until_cancelled(self.keep_connected()).await;
        let last = self.connection.send_replace(None);
        if let Some(connection) = last {
            match tokio::time::timeout(CLOSE_TIMEOUT, connection.close(200, "bye".into())).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::debug!(%error, connection = self.name, "the broker's connection closed without a handshake");
                }
                Err(_) => tracing::warn!(
                    connection = self.name,
                    "the broker does not complete the closing handshake"
                ),
            }
        }
        self.enter(ConnectionState::Closed);
    }

    async fn keep_connected(&self) {
        let mut backoff = Backoff::CONNECTION;
        let mut failures = 0;
        let mut lost = false;
        loop {
            match self.open().await {
                Ok(connection) => {
                    tracing::info!(connection = self.name, "connected to the broker");
                    if lost {
                        RECONNECTS.with(["broker".to_owned(), self.name.clone()]).increment(1);
                    }
                    failures = 0;
                    self.failure.send_replace(None);
                    backoff.reset();
                    self.watch(connection).await;
                    lost = true;
                }
                Err(failure) => {
                    failures += 1;
                    let reason = &failure.reason;
                    tracing::warn!(reason, failures, connection = self.name, "can't connect to the broker");
                    self.failure.send_replace(Some(failure));
                }
            }
            self.enter(ConnectionState::Connecting { failures });
            backoff.wait().await;
        }
    }

    async fn open(&self) -> Result<Connection, Failure> {
        let properties = ConnectionProperties::default().with_connection_name(self.name.as_str().into());
        let opening = Connection::connect_uri(self.uri.clone(), properties);
        if let Ok(opened) = tokio::time::timeout(CONNECT_TIMEOUT, opening).await {
            opened.map_err(|error| Failure { reason: error.to_string(), is_refused: is_refused(&error) })
        } else {
            let reason = format!("no answer within {} s", CONNECT_TIMEOUT.as_secs());
            Err(Failure { reason, is_refused: false })
        }
    }

    /// Publishes the connection to all handles until it is lost.
    async fn watch(&self, connection: Connection) {
        // Listen before the state is checked, so that no loss is missed in between.
        let mut events = std::pin::pin!(connection.events_listener());
        let connection = Arc::new(connection);
        self.connection.send_replace(Some(Arc::clone(&connection)));
        self.enter(ConnectionState::Connected);
        while connection.status().connected() {
            match events.next().await {
                Some(Event::ConnectionBlocked(reason)) => {
                    tracing::warn!(reason, connection = self.name, "the broker blocks publishes");
                    self.enter(ConnectionState::Blocked { reason });
                }
                Some(Event::ConnectionUnblocked) => self.enter(ConnectionState::Connected),
                Some(Event::Error(error)) => {
                    tracing::warn!(%error, connection = self.name, "the broker's connection failed");
                }
                Some(_) => {}
                None => break,
            }
        }
        self.connection.send_replace(None);
    }

    fn enter(&self, state: ConnectionState) {
        let up = !matches!(state, ConnectionState::Connecting { .. } | ConnectionState::Closed);
        CONNECTION_UP.with(["broker".to_owned(), self.name.clone()]).set(f64::from(u8::from(up)));
        self.state.send_replace(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_invalid_address_is_reported_without_its_password() {
        let error = Broker::connect("http://user:hunter2@host/", "test").expect_err("not amqp");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }

    #[tokio::test]
    async fn an_unreachable_broker_is_tried_again_and_can_be_closed() {
        // Port 1 is reserved and refuses connections.
        let broker = Broker::connect("amqp://127.0.0.1:1/%2f", "test").expect("a valid address");
        broker.check_address().await.expect("an unreachable broker may come back");
        assert!(broker.last_failure().is_some());
        let mut states = broker.shared.state.clone();
        let failed_twice =
            |state: &ConnectionState| matches!(state, ConnectionState::Connecting { failures: 2.. });
        states.wait_for(failed_twice).await.expect("supervised");
        broker.close().await;
        assert_eq!(broker.state(), ConnectionState::Closed);
        assert!(broker.channel().await.is_none());
    }
}
