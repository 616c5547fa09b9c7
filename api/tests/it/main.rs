//! The api over HTTP, against a real database.

mod client;
mod errors;
mod executions;
mod functions;
mod scripts;
mod server;
mod signed;
