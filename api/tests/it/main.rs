//! The api over HTTP, against a real database.

mod client;
mod contract;
mod control;
mod environment;
mod errors;
mod executions;
mod faults;
mod fixtures;
mod functions;
mod isolation;
mod schedules;
mod scripts;
mod server;
mod signed;
