//! Executions and their logs, as they are read and cancelled. Their creation is in [`super::enqueue`], lists of them in
//! [`lists`].
//!
//! Queries that read one execution say `LIMIT 1`, though there is no second: knowing that, PostgreSQL finds a plan that is
//! good for every id, and plans no more (0.18 → 0.05 ms). Planning takes longer than reading, since the table has many
//! partitions.

use crate::model::execution::{Execution, ExecutionSummary, Failure, Log, Phases, Progress};
use chrono::{DateTime, Utc};
use serde_json::value::RawValue;
use shared::execution::Status;
use sqlx::{PgConnection, PgPool, types::Json};
use uuid::Uuid;

mod lists;

pub use lists::{ExecutionFilter, list};

struct ExecutionRow {
    id: Uuid,
    script_id: Option<Uuid>,
    script_version: Option<i32>,
    trigger_type: String,
    status: String,
    attempt: i32,
    result: Option<Json<Box<RawValue>>>,
    error_code: Option<String>,
    error_message: Option<String>,
    error_stack: Option<String>,
    error_line: Option<i32>,
    error_column: Option<i32>,
    function_names: Vec<String>,
    replay_of: Option<Uuid>,
    queued_at: DateTime<Utc>,
    started_at: Option<DateTime<Utc>>,
    finished_at: Option<DateTime<Utc>>,
    queue_ms: Option<f64>,
    init_ms: Option<f64>,
    run_ms: Option<f64>,
    persist_ms: Option<f64>,
    cpu_ms: Option<f64>,
    memory_peak_bytes: Option<i64>,
}

impl From<ExecutionRow> for ExecutionSummary {
    fn from(row: ExecutionRow) -> Self {
        let error = row.error_code.map(|code| Failure {
            code,
            message: row.error_message.unwrap_or_default(),
            stack: row.error_stack,
            line: row.error_line,
            column: row.error_column,
        });
        Self {
            id: row.id,
            script_id: row.script_id,
            script_version: row.script_version,
            trigger_type: row.trigger_type,
            status: row.status,
            attempt: row.attempt,
            result: row.result.map(|result| result.0),
            error,
            function_names: row.function_names,
            replay_of: row.replay_of,
            queued_at: row.queued_at,
            started_at: row.started_at,
            finished_at: row.finished_at,
            duration_ms: duration_ms(row.init_ms, row.run_ms),
            phases: Phases {
                queue_ms: row.queue_ms,
                init_ms: row.init_ms,
                run_ms: row.run_ms,
                persist_ms: row.persist_ms,
            },
            cpu_ms: row.cpu_ms,
            memory_peak_bytes: row.memory_peak_bytes,
        }
    }
}

/// Returns the duration of initialisation and run together, rounded to milliseconds.
#[expect(clippy::cast_possible_truncation, reason = "times of runs are seconds, far from the limits of i64")]
fn duration_ms(init_ms: Option<f64>, run_ms: Option<f64>) -> Option<i64> {
    let total = init_ms.unwrap_or(0.0) + run_ms.unwrap_or(0.0);
    (init_ms.is_some() || run_ms.is_some()).then(|| total.round() as i64)
}

/// Returns an execution with its logs.
pub(crate) async fn get(
    pool: &PgPool,
    workspace_id: Uuid,
    id: Uuid,
) -> Result<Option<Execution>, sqlx::Error> {
    let mut connection = pool.acquire().await?;
    let row = sqlx::query!(
        r#"SELECT id, script_id, script_version, trigger_type, status, attempt,
                  result AS "result: Json<Box<RawValue>>",
                  error_code, error_message, error_stack, error_line, error_column, function_names, replay_of, queued_at,
                  started_at, finished_at, queue_ms, init_ms, run_ms, persist_ms, cpu_ms, memory_peak_bytes,
                  event AS "event: Json<Box<RawValue>>", context AS "context: Json<Box<RawValue>>",
                  variables AS "variables: Json<Box<RawValue>>"
           FROM script_executions WHERE workspace_id = $1 AND id = $2 LIMIT 1"#,
        workspace_id,
        id
    )
    .fetch_optional(&mut *connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let logs = logs_after(&mut *connection, id, 0).await?;
    let summary = ExecutionRow {
        id: row.id,
        script_id: row.script_id,
        script_version: row.script_version,
        trigger_type: row.trigger_type,
        status: row.status,
        attempt: row.attempt,
        result: row.result,
        error_code: row.error_code,
        error_message: row.error_message,
        error_stack: row.error_stack,
        error_line: row.error_line,
        error_column: row.error_column,
        function_names: row.function_names,
        replay_of: row.replay_of,
        queued_at: row.queued_at,
        started_at: row.started_at,
        finished_at: row.finished_at,
        queue_ms: row.queue_ms,
        init_ms: row.init_ms,
        run_ms: row.run_ms,
        persist_ms: row.persist_ms,
        cpu_ms: row.cpu_ms,
        memory_peak_bytes: row.memory_peak_bytes,
    };
    Ok(Some(Execution {
        summary: summary.into(),
        logs,
        event: row.event.0,
        context: row.context.0,
        variables: row.variables.0,
    }))
}

/// The input of an execution, as it is stored.
#[derive(Debug)]
pub(crate) struct StoredInput {
    pub event: Json<Box<RawValue>>,
    pub context: Json<Box<RawValue>>,
    pub variables: Json<Box<RawValue>>,
}

/// Returns the progress of an execution.
pub(crate) async fn progress(
    pool: &PgPool,
    workspace_id: Uuid,
    id: Uuid,
) -> Result<Option<Progress>, sqlx::Error> {
    let row = sqlx::query!(
        r#"SELECT status, attempt,
                  coalesce((SELECT max(seq) FROM execution_logs WHERE execution_id = $2), 0) AS "last_seq!"
           FROM script_executions WHERE workspace_id = $1 AND id = $2 LIMIT 1"#,
        workspace_id,
        id
    )
    .fetch_optional(pool)
    .await?;
    row.map(|row| {
        let status = row.status.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
        Ok(Progress { status, attempt: row.attempt, last_seq: row.last_seq })
    })
    .transpose()
}

/// Limits the log lines that are read of one execution, far above what the log limits of a run allow. A query with a
/// limit has one plan for every id: planning took six times as long as reading.
const MAX_LINES: i64 = 1_000_000;

/// Returns the log lines of an execution with numbers above `after`. Bounded by the log limits of a run.
pub(crate) async fn logs_after<'e>(
    executor: impl sqlx::PgExecutor<'e>,
    execution_id: Uuid,
    after: i32,
) -> Result<Vec<Log>, sqlx::Error> {
    sqlx::query_as!(
        Log,
        "SELECT seq, ts, level, message FROM execution_logs WHERE execution_id = $1 AND seq > $2 ORDER BY seq LIMIT $3",
        execution_id,
        after,
        MAX_LINES
    )
    .fetch_all(executor)
    .await
}

/// The first use of an idempotency key.
#[derive(Clone, Copy, Debug)]
pub(crate) enum IdempotencyHit {
    /// It was the same request, and led to this execution.
    Match(Uuid),
    /// It was another request.
    Conflict,
}

/// Claims an idempotency key for an execution, in the transaction that submits it. Returns `None` if the key was new.
pub(crate) async fn claim_key(
    connection: &mut PgConnection,
    workspace_id: Uuid,
    key: &str,
    request_hash: &[u8],
    execution_id: Uuid,
) -> Result<Option<IdempotencyHit>, sqlx::Error> {
    let claimed = sqlx::query!(
        "INSERT INTO idempotency_keys (workspace_id, key, request_hash, execution_id) VALUES ($1, $2, $3, $4)
         ON CONFLICT DO NOTHING",
        workspace_id,
        key,
        request_hash,
        execution_id
    )
    .execute(&mut *connection)
    .await?;
    if claimed.rows_affected() == 1 {
        return Ok(None);
    }
    find_key(connection, workspace_id, key, request_hash).await
}

/// Returns the first use of an idempotency key; `None` if it is new.
pub(crate) async fn find_key<'e>(
    executor: impl sqlx::PgExecutor<'e>,
    workspace_id: Uuid,
    key: &str,
    request_hash: &[u8],
) -> Result<Option<IdempotencyHit>, sqlx::Error> {
    let first = sqlx::query!(
        "SELECT request_hash, execution_id FROM idempotency_keys WHERE workspace_id = $1 AND key = $2",
        workspace_id,
        key
    )
    .fetch_optional(executor)
    .await?;
    Ok(first.map(|first| {
        let same = first.request_hash == request_hash;
        if same { IdempotencyHit::Match(first.execution_id) } else { IdempotencyHit::Conflict }
    }))
}

/// Cancels a queued execution at once, and asks the worker of a running one to stop. Returns the status before.
pub(crate) async fn cancel(
    pool: &PgPool,
    workspace_id: Uuid,
    id: Uuid,
) -> Result<Option<Status>, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    let found = sqlx::query_scalar!(
        "SELECT status FROM script_executions WHERE workspace_id = $1 AND id = $2 FOR UPDATE",
        workspace_id,
        id
    )
    .fetch_optional(&mut *transaction)
    .await?;
    let Some(found) = found else { return Ok(None) };
    let status = found.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
    match status {
        Status::Queued => cancel_queued(&mut transaction, id).await?,
        Status::Running => request_cancellation(&mut transaction, id).await?,
        Status::Completed | Status::Errored | Status::Cancelled => {}
    }
    transaction.commit().await?;
    Ok(Some(status))
}

async fn cancel_queued(connection: &mut PgConnection, id: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE script_executions SET status = 'cancelled', finished_at = now(), cancel_requested_at = now(),
                error_code = 'cancelled',
                error_message = CASE WHEN attempt = 0 THEN 'Cancelled before it started.'
                                     ELSE 'Cancelled while it waited for its next attempt.' END
         WHERE id = $1",
        id
    )
    .execute(&mut *connection)
    .await?;
    // A worker that already has the message finds the execution cancelled, and drops the message.
    sqlx::query!("DELETE FROM outbox WHERE execution_id = $1", id).execute(&mut *connection).await?;
    sqlx::query!("SELECT pg_notify('execution_changed', $1)", id.to_string()).execute(connection).await?;
    Ok(())
}

async fn request_cancellation(connection: &mut PgConnection, id: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE script_executions SET cancel_requested_at = coalesce(cancel_requested_at, now()) WHERE id = $1",
        id
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!("SELECT pg_notify('execution_cancel', $1)", id.to_string()).execute(connection).await?;
    Ok(())
}
