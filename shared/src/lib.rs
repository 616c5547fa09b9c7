//! Definitions shared by the api and the worker: statuses, limits, messages, signing, encryption, masking, telemetry.
//!
//! Invariant: nothing here depends on HTTP routes, SQL or V8. The api and the worker depend on `shared`, never the
//! reverse.

pub mod allowed_domains;
pub mod amqp;
pub mod backoff;
pub mod config;
pub mod dedicated_runtime;
pub mod delivery;
pub mod encryption;
pub mod execution;
pub mod fair_pool;
pub mod http;
pub mod json;
pub mod limits;
pub mod masking;
pub mod message;
pub mod outcome;
pub mod process;
pub mod signing;
pub mod telemetry;
pub mod workspace;
