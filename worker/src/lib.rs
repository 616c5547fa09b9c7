#![forbid(unsafe_code)]

//! Runs executions: consumes a message, claims, executes in a sandbox process, persists, settles.
//!
//! V8 runs in a process of its own, from the crate `sandbox`. The two processes share the crate `sandbox-protocol` and nothing
//! else.

pub mod config;
pub mod consumer;
pub mod db;
pub mod execution;
pub mod http;
pub mod lease;
pub mod outbound;
pub mod serve;
pub mod supervisor;
