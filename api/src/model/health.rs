//! Health, as the API shows it.

use serde::Serialize;
use utoipa::ToSchema;

/// State of each connection: `connecting`, `connected`, `blocked` (the broker takes no publishes) or `closed`.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BrokerConnections {
    /// Publishes executions for the workers. They wait in the database while it is down.
    pub publisher: &'static str,
    /// Consumes events of triggers. They wait in the broker while it is down.
    pub consumer: &'static str,
}

/// The ability to run scripts now.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    /// True if the database answers and at least one worker is running.
    pub is_available: bool,
    /// `up` or `down`.
    pub database: &'static str,
    /// Connections to the broker of the api process that answers.
    pub broker: BrokerConnections,
    /// Executions that wait for a worker. Null while that is unknown, as are the fields below.
    pub queue_depth: Option<i64>,
    /// Workers seen in the last 30 seconds.
    pub workers: Option<i64>,
    /// Runs that the workers can do at the same time.
    pub slots: Option<i64>,
    pub slots_busy: Option<i64>,
    /// Version of the api.
    pub version: &'static str,
}
