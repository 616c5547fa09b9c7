//! The HTTP API, the outbox relay and the ingest of events.

mod app;
mod background;
mod cli;
mod config;
mod db;
mod delivery;
mod http;
mod live;
mod model;
#[doc(hidden)]
pub mod testing;

pub use cli::Cli;
