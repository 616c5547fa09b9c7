//! Runs executions: consumes, claims, executes in a sandbox process, persists, settles.
//!
//! `supervisor` and `sandbox` meet only in `protocol`; nothing outside `sandbox` names V8.

pub mod config;
pub mod consumer;
pub mod db;
pub mod execution;
pub mod http;
pub mod lease;
pub mod serve;
pub mod supervisor;
