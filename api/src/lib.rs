//! The HTTP api, the outbox relay and the ingest of events.

pub mod auth;
pub mod build;
pub mod commands;
pub mod config;
pub mod database;
pub mod dead_letters;
pub mod declarations;
pub mod error;
pub mod etag;
pub mod fixtures;
pub mod gauges;
pub mod ingest;
pub mod live;
pub mod payload;
pub mod query;
pub mod quota;
pub mod relay;
pub mod resolve;
pub mod resources;
pub mod retention;
pub mod routes;
pub mod saving;
pub mod schedules;
pub mod state;
pub mod store;
pub mod submit;
