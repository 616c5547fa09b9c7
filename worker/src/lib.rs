//! Runs executions: consumes, claims, executes in a sandbox process, persists, settles.
//!
//! `supervisor` and `sandbox` meet only in `protocol`; nothing outside `sandbox` names V8.

pub mod builds;
pub mod claims;
pub mod config;
pub mod database;
pub mod fleet;
pub mod http;
mod input;
pub mod job;
pub mod plane_token;
pub mod protocol;
pub mod reaper;
pub mod sandbox;
pub mod serve;
pub mod settle;
pub mod supervisor;
