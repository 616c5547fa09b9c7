//! The worker's parts together with real servers and processes.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod fetch;
mod runtime;
mod sandbox;
mod security_page;
