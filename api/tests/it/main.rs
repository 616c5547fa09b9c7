//! The api over HTTP, against a real database.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod bodies;
mod builds;
mod client;
mod connections;
mod contract;
mod control;
mod dead_letters;
mod delivery;
mod document;
mod environment;
mod erasure;
mod errors;
mod executions;
mod faults;
mod fixtures;
mod functions;
mod gauges;
mod idempotency;
mod isolation;
mod lists;
mod payloads;
mod queries;
mod reseal;
mod retention;
mod schedules;
mod scopes;
mod scripts;
mod server;
mod signed;
mod types;
