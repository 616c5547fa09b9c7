//! Publishes executions to the broker, and creates executions from the broker's events.

mod backlog;
mod fast_path;
pub(crate) mod ingest;
mod publisher;
mod recovery;
mod relay;

pub use fast_path::FastPath;
pub use publisher::Dispatcher;
pub use relay::Relay;
