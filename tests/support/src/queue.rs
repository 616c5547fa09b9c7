//! Queues per test on one shared broker.

use crate::server_url;
use uuid::Uuid;

/// A broker address and a prefix for the names of exchanges and queues that nobody else uses.
///
/// A virtual host per test would part tests as well, but takes the broker's own command line tool, which needs
/// a second per call. The queues go with the throw-away broker.
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

    /// Address of the broker, as `AMQP_URL` takes it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Put before the name of every exchange and queue (`AMQP_PREFIX`).
    pub fn prefix(&self) -> &str {
        &self.prefix
    }
}
