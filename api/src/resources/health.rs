//! Health as it is shown.

use serde::Serialize;
use utoipa::ToSchema;

/// Whether scripts can be run now.
#[derive(Debug, Serialize, ToSchema)]
pub struct Health {
    /// The database answers and a worker is there.
    pub is_available: bool,
    /// `up` or `down`.
    pub database: &'static str,
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
