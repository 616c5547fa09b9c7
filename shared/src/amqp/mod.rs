//! RabbitMQ: topology, and connections that recover by themselves.
//!
//! Invariant: no code outside this module uses the AMQP library or handles a lost connection. A publisher reports for
//! each message whether the broker has stored it. A consumer is an endless stream across reconnects.

use std::time::Duration;

pub mod connection;
pub mod consumer;
pub mod dead_letters;
pub mod publisher;
pub mod topology;

pub use connection::{Broker, ConnectionState, InvalidAddress, RefusedAddress};
pub use consumer::{Consumer, Delivery};
pub use dead_letters::DeadLetter;
pub use publisher::{Publication, PublishError, Publisher};
pub use topology::{DeclareError, Topology};

/// Time limit of the set-up of a new channel, after which it is tried again on another channel.
const SETUP_TIMEOUT: Duration = Duration::from_secs(5);
