//! RabbitMQ: topology, and connections that heal by themselves.
//!
//! Invariant: nobody outside this module names the AMQP library or handles a lost connection. A publisher
//! reports per message whether the broker has it; a consumer is an endless stream over all reconnects.

use std::time::Duration;

pub mod connection;
pub mod consumer;
pub mod dead_letters;
pub mod publisher;
pub mod topology;

pub use connection::{Broker, ConnectionState, InvalidAddress};
pub use consumer::{Consumer, Delivery};
pub use dead_letters::{DeadLetter, DeadLetterError, DeadLetters, LOOKED_THROUGH};
pub use publisher::{Publication, PublishError, Publisher};
pub use topology::{DeclareError, Topology};

/// A broker that answers nothing while a fresh channel is made ready is asked again, on another channel, after this
/// time.
const SETUP_TIMEOUT: Duration = Duration::from_secs(5);
