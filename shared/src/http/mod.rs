//! HTTP of the api and the worker: server, request bodies, one error per field, and metrics.

pub mod body;
mod connections;
pub mod fields;
pub mod metrics;
pub mod server;
mod write_timeout;
