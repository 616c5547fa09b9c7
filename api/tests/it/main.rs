//! The api over HTTP, against a real database.

mod client;
mod control;
mod environment;
mod errors;
mod executions;
mod fixtures;
mod functions;
mod scripts;
mod server;
mod signed;
