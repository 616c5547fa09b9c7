//! Support for the tests of every crate: real servers, with one database and one set of queues per test.
//!
//! The servers are those of `scripts/with-services`, or any given by `TEST_DATABASE_URL` and `TEST_AMQP_URL`.
//! Invariant: tests share only the servers, so that they can run in parallel and in any order.

mod database;
mod hostile;
mod link;
mod npm;
mod payloads;
mod plane;
mod queue;
mod receiver;
mod registry;
mod services;
mod slow_clients;

pub use database::TestDatabase;
pub use hostile::{Endless, HostileServer};
pub use link::{Direction, Link};
pub use npm::node_modules;
pub use payloads::{Payload, SHOW, payloads};
pub use plane::{FakePlane, Received};
pub use queue::TestQueues;
pub use receiver::{Posted, Receiver};
pub use registry::{Registry, archive};
pub use services::Services;
pub use slow_clients::hold_connections;

/// Reads a variable that `scripts/with-services` sets.
///
/// # Panics
/// If it is not set, because the test was started without servers.
fn server_url(name: &str) -> String {
    #[expect(clippy::disallowed_methods, reason = "tests read only the URLs of the servers")]
    std::env::var(name).unwrap_or_else(|_| {
        panic!("{name} is not set: run `make test`, or `scripts/with-services cargo test -p CRATE`")
    })
}
