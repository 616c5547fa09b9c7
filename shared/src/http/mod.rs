//! HTTP of the api and the worker: server, signed requests, request bodies, one error per field, `Host`, and metrics.

pub mod body;
mod body_budget;
mod connections;
#[cfg(test)]
mod descriptors_tests;
pub mod fields;
pub mod host;
pub mod metrics;
pub mod server;
pub mod signed;
mod write_timeout;

pub use body_budget::{BodyBudget, BodyOwner};
pub use server::PeerAddress;
