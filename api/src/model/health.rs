//! Health as it is shown.

use serde::Serialize;
use utoipa::ToSchema;

/// State of each connection: `connecting`, `connected`, `blocked` (the broker takes no publishes) or `closed`.
#[derive(Debug, Serialize, ToSchema)]
pub struct BrokerConnections {
    /// Brings executions to the workers. While it is away they wait in the database.
    pub publisher: &'static str,
    /// Takes events of triggers. While it is away they wait in the broker.
    pub consumer: &'static str,
}

/// Whether scripts can be run now.
#[derive(Debug, Serialize, ToSchema)]
pub struct Health {
    /// The database answers and a worker is there.
    pub is_available: bool,
    /// `up` or `down`.
    pub database: &'static str,
    /// Of the api that answers, to the broker.
    pub broker: BrokerConnections,
    /// Executions that wait for a worker; null while that is unknown, as are the others.
    pub queue_depth: Option<i64>,
    /// Workers seen in the last 30 seconds.
    pub workers: Option<i64>,
    /// Runs they can do side by side.
    pub slots: Option<i64>,
    pub slots_busy: Option<i64>,
    /// Version of the api.
    pub version: &'static str,
}
