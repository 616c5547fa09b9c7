//! The HTTP API, the outbox relay and the ingest of events.

pub mod app;
pub mod background;
pub mod cli;
pub mod config;
pub mod db;
pub mod delivery;
pub mod http;
pub mod live;
pub mod model;
