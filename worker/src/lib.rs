#![forbid(unsafe_code)]

//! Runs executions: consumes a message, claims, executes in a sandbox process, persists, settles.
//!
//! V8 runs in a process of its own, from the crate `sandbox`. The two processes share the crate `sandbox-protocol` and nothing
//! else.

mod config;
mod consumer;
mod db;
mod execution;
mod http;
mod lease;
mod outbound;
mod serve;
mod supervisor;
#[doc(hidden)]
pub mod testing;

pub use config::Config;
pub use serve::Worker;
