//! Queues of one test on a shared broker.

use crate::server_url;
use uuid::Uuid;

/// URL of the broker, and a unique prefix for the names of exchanges and queues.
///
/// A virtual host per test would isolate tests, too, but requires the broker's command line tool, which takes a second
/// per call. The queues are removed with the temporary broker.
pub struct TestQueues {
    url: String,
    prefix: String,
}

impl TestQueues {
    /// # Panics
    /// If the test was started without servers.
    pub fn create() -> Self {
        Self { url: server_url("TEST_AMQP_URL"), prefix: format!("test-{}.", Uuid::now_v7().simple()) }
    }

    /// Returns the URL of the broker for `AMQP_URL`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns the prefix of the names of exchanges and queues, for `AMQP_PREFIX`.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }
}
