//! HTTP of the api and the worker: server, request bodies, and one error per field.

pub mod body;
mod connections;
pub mod fields;
pub mod server;
mod write_timeout;
