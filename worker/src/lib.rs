//! Runs executions: consumes, claims, executes in a sandbox process, persists, settles.

pub mod protocol;
