//! The scripts that use the platform most.

use sqlx::PgPool;
use uuid::Uuid;

/// Limits the executions that one call reads, the newest first: some hundred milliseconds, however busy the platform is.
const MAX_ROWS: i64 = 100_000;

/// Use of the platform by one script. Test runs of a workspace count as one script without a name.
#[derive(Debug)]
pub(crate) struct ScriptUse {
    pub workspace: String,
    pub script_id: Option<Uuid>,
    pub script: Option<String>,
    pub executions: i64,
    pub errors: i64,
    /// Queued or running.
    pub unfinished: i64,
    /// Seconds in slots.
    pub slot_s: f64,
    /// Seconds of processor time.
    pub cpu_s: f64,
    /// Longest wait in the queue, in seconds. `None` if nothing was claimed.
    pub longest_wait_s: Option<f64>,
}

/// Lists the scripts whose executions of the last `minutes` come first in `order`.
pub(crate) async fn scripts(
    pool: &PgPool,
    minutes: i32,
    order: &str,
    most: i64,
) -> sqlx::Result<Vec<ScriptUse>> {
    sqlx::query_file_as!(ScriptUse, "src/db/top.sql", minutes, MAX_ROWS, order, most).fetch_all(pool).await
}
