//! Moves executions to the broker and events from it.

mod fast_path;
pub mod ingest;
mod publisher;
mod recovery;
mod relay;

pub use crate::db::outbox::Departure;
pub use fast_path::Ticket;
pub use publisher::Outgoing;
pub use relay::Relay;
