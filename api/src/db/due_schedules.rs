//! Statements of the scheduler on due schedules.

use chrono::{DateTime, Utc};
use serde_json::value::RawValue;
use sqlx::{PgConnection, types::Json};
use uuid::Uuid;

/// A schedule whose next run is due.
pub(crate) struct DueSchedule {
    pub id: Uuid,
    pub workspace_id: Uuid,
    pub script_id: Uuid,
    pub cron: String,
    pub timezone: String,
    pub variables: Json<Box<RawValue>>,
    /// Limits the random delay, in seconds.
    pub jitter_s: i32,
    pub catch_up: String,
    pub due: DateTime<Utc>,
    /// Current time by the database's clock.
    pub now: DateTime<Utc>,
}

/// New state of a schedule that was fired.
pub(crate) struct Advance {
    pub next_run_at: Option<DateTime<Utc>>,
    /// `None` leaves the column as it is.
    pub last_run_at: Option<DateTime<Utc>>,
    /// `None` leaves the column as it is.
    pub last_execution_id: Option<Uuid>,
    /// Number that is added to the missed runs.
    pub missed_runs: i64,
}

/// Locks the schedule that has been due longest. Skips those that another process is firing.
pub(crate) async fn lock_next(connection: &mut PgConnection) -> sqlx::Result<Option<DueSchedule>> {
    sqlx::query_as!(
        DueSchedule,
        r#"SELECT id, workspace_id, script_id, cron, timezone, variables AS "variables: Json<Box<RawValue>>", jitter_s,
                  catch_up, next_run_at AS "due!", now() AS "now!"
           FROM schedules WHERE enabled AND next_run_at <= now()
           ORDER BY next_run_at LIMIT 1 FOR UPDATE SKIP LOCKED"#
    )
    .fetch_optional(connection)
    .await
}

/// Stores the new state of a schedule.
pub(crate) async fn advance(connection: &mut PgConnection, id: Uuid, to: &Advance) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE schedules SET next_run_at = $2, last_run_at = coalesce($3, last_run_at),
                last_execution_id = coalesce($4, last_execution_id), missed_runs = missed_runs + $5
         WHERE id = $1",
        id,
        to.next_run_at,
        to.last_run_at,
        to.last_execution_id,
        to.missed_runs,
    )
    .execute(connection)
    .await
    .map(drop)
}
