//! What the api and the worker both mean by the same words.
//!
//! Nothing here knows HTTP routes, SQL or V8: the api and the worker depend on `shared`, never the other way.

pub mod allowed_domains;
pub mod amqp;
pub mod backoff;
pub mod config;
pub mod encryption;
pub mod execution;
pub mod http;
pub mod json;
pub mod limits;
pub mod masking;
pub mod message;
pub mod outcome;
pub mod signing;
pub mod telemetry;
