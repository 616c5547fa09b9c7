//! Publishes executions to the broker, creates executions from the broker's events, and stores its dead letters.

mod backlog;
mod dead_letters;
mod fast_path;
pub(crate) mod ingest;
mod publisher;
mod recovery;
mod relay;

pub use dead_letters::DeadLetterInbox;
pub use fast_path::FastPath;
pub use publisher::Dispatcher;
pub use relay::Relay;
