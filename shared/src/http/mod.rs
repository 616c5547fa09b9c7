//! Requests of the api and the worker: bodies within their size and time limit, JSON, one error per field, and `Host`.

pub mod body;
pub mod fields;
pub mod host;
