//! Schedules as they are written and read. [`crate::background::scheduler`] fires them.
//!
//! Variables are bound as text, never as `jsonb`, which would change them: see [`super::enqueue`].

use crate::{
    model::pagination::{Fitting, PageRequest, PageRows, fitting},
    model::schedule::{Schedule, ScheduleDraft},
};
use chrono::{DateTime, Utc};
use serde_json::value::RawValue;
use sqlx::{PgConnection, PgPool, types::Json};
use uuid::Uuid;

struct ScheduleRow {
    id: Uuid,
    script_id: Uuid,
    cron: String,
    timezone: String,
    variables: Json<Box<RawValue>>,
    enabled: bool,
    jitter_s: i32,
    catch_up: String,
    next_run_at: Option<DateTime<Utc>>,
    last_run_at: Option<DateTime<Utc>>,
    last_execution_id: Option<Uuid>,
    missed_runs: i64,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl From<ScheduleRow> for Schedule {
    fn from(row: ScheduleRow) -> Self {
        Self {
            id: row.id,
            script_id: row.script_id,
            cron: row.cron,
            timezone: row.timezone,
            variables: row.variables.0,
            enabled: row.enabled,
            jitter_s: row.jitter_s,
            catch_up: row.catch_up,
            next_run_at: row.next_run_at,
            last_run_at: row.last_run_at,
            last_execution_id: row.last_execution_id,
            missed_runs: row.missed_runs,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

/// Lists schedules of the workspace, newest first; those of one script if `script_id` names it.
pub(crate) async fn list(
    pool: &PgPool,
    workspace_id: Uuid,
    script_id: Option<Uuid>,
    enabled: Option<bool>,
    page: PageRequest,
) -> Result<PageRows<Schedule>, sqlx::Error> {
    let sizes = sqlx::query!(
        r#"SELECT id, octet_length(variables::text) AS "bytes!"
           FROM schedules
           WHERE workspace_id = $1 AND id < $2 AND ($3::uuid IS NULL OR script_id = $3)
             AND ($4::boolean IS NULL OR enabled = $4)
           ORDER BY id DESC LIMIT $5"#,
        workspace_id,
        page.below(),
        script_id,
        enabled,
        page.rows()
    )
    .fetch_all(pool)
    .await?;
    let Fitting { keys, more } = fitting(page.per_page, sizes.into_iter().map(|row| (row.id, row.bytes)));
    let rows = sqlx::query_as!(
        ScheduleRow,
        r#"SELECT id, script_id, cron, timezone, variables AS "variables: Json<Box<RawValue>>", enabled, jitter_s, catch_up,
                  next_run_at, last_run_at, last_execution_id, missed_runs, created_at, updated_at
           FROM schedules WHERE id = ANY($1) ORDER BY id DESC"#,
        &keys
    )
    .fetch_all(pool)
    .await?;
    Ok(PageRows { rows: rows.into_iter().map(Schedule::from).collect(), more })
}

/// Returns a schedule of the workspace, and locks it until the end of the transaction if there is one.
pub(crate) async fn get(
    connection: &mut PgConnection,
    workspace_id: Uuid,
    id: Uuid,
) -> Result<Option<Schedule>, sqlx::Error> {
    let row = sqlx::query_as!(
        ScheduleRow,
        r#"SELECT id, script_id, cron, timezone, variables AS "variables: Json<Box<RawValue>>", enabled, jitter_s, catch_up,
                  next_run_at, last_run_at, last_execution_id, missed_runs, created_at, updated_at
           FROM schedules WHERE workspace_id = $1 AND id = $2 FOR UPDATE"#,
        workspace_id,
        id
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.map(Schedule::from))
}

/// Stores a new schedule, whose first run is at `next_run_at`.
pub(crate) async fn insert(
    connection: &mut PgConnection,
    workspace_id: Uuid,
    draft: &ScheduleDraft,
    next_run_at: Option<DateTime<Utc>>,
) -> Result<Schedule, sqlx::Error> {
    let row = sqlx::query_as!(
        ScheduleRow,
        r#"INSERT INTO schedules (id, workspace_id, script_id, cron, timezone, variables, enabled, jitter_s, catch_up, next_run_at)
           VALUES ($1, $2, $3, $4, $5, $6::text::json, $7, $8, $9, $10)
           RETURNING id, script_id, cron, timezone, variables AS "variables: Json<Box<RawValue>>", enabled, jitter_s, catch_up,
                  next_run_at, last_run_at, last_execution_id, missed_runs, created_at, updated_at"#,
        Uuid::now_v7(),
        workspace_id,
        draft.script_id,
        draft.cron,
        draft.timezone,
        draft.variables.get(),
        draft.enabled,
        draft.jitter_s,
        draft.catch_up,
        next_run_at
    )
    .fetch_one(connection)
    .await?;
    Ok(row.into())
}

/// Replaces a schedule whose row is locked.
pub(crate) async fn update(
    connection: &mut PgConnection,
    id: Uuid,
    draft: &ScheduleDraft,
    next_run_at: Option<DateTime<Utc>>,
) -> Result<Schedule, sqlx::Error> {
    let row = sqlx::query_as!(
        ScheduleRow,
        r#"UPDATE schedules SET script_id = $2, cron = $3, timezone = $4, variables = $5::text::json, enabled = $6, jitter_s = $7,
                  catch_up = $8, next_run_at = $9, updated_at = clock_timestamp()
           WHERE id = $1
           RETURNING id, script_id, cron, timezone, variables AS "variables: Json<Box<RawValue>>", enabled, jitter_s, catch_up,
                  next_run_at, last_run_at, last_execution_id, missed_runs, created_at, updated_at"#,
        id,
        draft.script_id,
        draft.cron,
        draft.timezone,
        draft.variables.get(),
        draft.enabled,
        draft.jitter_s,
        draft.catch_up,
        next_run_at
    )
    .fetch_one(connection)
    .await?;
    Ok(row.into())
}

/// Deletes a schedule; its executions stay.
pub(crate) async fn delete(connection: &mut PgConnection, id: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query!("DELETE FROM schedules WHERE id = $1", id).execute(connection).await?;
    Ok(())
}
