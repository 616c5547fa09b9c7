//! The HTTP api, the outbox relay and the ingest of events.

pub mod relay;
pub mod schedules;
