//! Ends an attempt: finishes the execution, schedules its retry, or releases the attempt.

use super::{
    Attempt, Claims, FencedWrite,
    batch::{Operation, OperationAnswer},
    logs::Columns,
};
use crate::db::DatabaseError;
use shared::{
    delivery::priority,
    execution::{ErrorCode, Status},
    outcome::{ExecutionError, LogLine, Usage, Verdict, milliseconds},
    telemetry::metrics::EXECUTIONS,
};
use std::time::{Duration, Instant};
use tokio_postgres::{Client, Row, Statement, types::ToSql};

/// Stores the end of an execution with its last log lines. Parameters: execution, attempt, worker; log columns;
/// status, result, error; usage; milliseconds since the end of the run. Being one statement, it takes one round trip,
/// and lines and end become visible together.
pub(super) const FINISH: &str = "
WITH done AS (
    UPDATE script_executions SET
        status = $8, result = $9::text::json,
        error_code = $10, error_message = $11, error_stack = $12, error_line = $13, error_column = $14,
        init_ms = $15, run_ms = $16, cpu_ms = $17, memory_peak_bytes = $18,
        persist_ms = round($19::float8::numeric + extract(epoch FROM clock_timestamp() - statement_timestamp()) * 1000, 3),
        finished_at = clock_timestamp(), lease_expires_at = NULL
    WHERE id = $1 AND attempt = $2 AND worker_id = $3 AND status = 'running'
    RETURNING id
), lines AS (
    INSERT INTO execution_logs (execution_id, seq, ts, level, message)
    SELECT done.id, line.* FROM done, unnest($4::int[], $5::timestamptz[], $6::text[], $7::text[]) AS line
    ON CONFLICT DO NOTHING
)
SELECT pg_notify('execution_changed', id::text)::text FROM done";

/// Queues an execution for a retry. Parameters: execution, attempt, worker; log columns; seconds until the retry. A
/// retry after the script's own fault does not use up one of the attempts for lost workers.
const RETRY: &str = "
WITH again AS (
    UPDATE script_executions SET
        status = 'queued', retries_left = retries_left - 1, max_attempts = max_attempts + 1,
        worker_id = NULL, lease_expires_at = NULL, started_at = NULL
    WHERE id = $1 AND attempt = $2 AND worker_id = $3 AND status = 'running'
        AND retries_left > 0 AND cancel_requested_at IS NULL
    RETURNING id, workspace_id, priority, traceparent
), lines AS (
    INSERT INTO execution_logs (execution_id, seq, ts, level, message)
    SELECT again.id, line.* FROM again, unnest($4::int[], $5::timestamptz[], $6::text[], $7::text[]) AS line
    ON CONFLICT DO NOTHING
), enqueued AS (
    INSERT INTO outbox (execution_id, workspace_id, priority, traceparent, available_at)
    SELECT id, workspace_id, priority, traceparent, now() + make_interval(secs => $8) FROM again
)
SELECT pg_notify('execution_changed', id::text)::text, pg_notify('outbox', '')::text FROM again";

/// Queues an execution whose run did not end, without counting the attempt. Parameters: execution, attempt, worker;
/// log columns; priority. The number of the attempt is used again. An execution whose cancel was requested in the
/// meantime ends cancelled. The higher priority puts the execution before the backlog, as after the loss of a worker.
const RELEASE: &str = "
WITH released AS (
    UPDATE script_executions SET
        status = CASE WHEN cancel_requested_at IS NULL THEN 'queued' ELSE 'cancelled' END,
        error_code = CASE WHEN cancel_requested_at IS NOT NULL THEN 'cancelled' END,
        error_message = CASE WHEN cancel_requested_at IS NOT NULL THEN 'cancelled' END,
        finished_at = CASE WHEN cancel_requested_at IS NOT NULL THEN clock_timestamp() END,
        started_at = CASE WHEN cancel_requested_at IS NOT NULL THEN started_at END,
        attempt = CASE WHEN cancel_requested_at IS NULL THEN attempt - 1 ELSE attempt END,
        worker_id = NULL, lease_expires_at = NULL
    WHERE id = $1 AND attempt = $2 AND worker_id = $3 AND status = 'running'
    RETURNING id, workspace_id, priority, traceparent, status
), lines AS (
    INSERT INTO execution_logs (execution_id, seq, ts, level, message)
    SELECT released.id, line.* FROM released, unnest($4::int[], $5::timestamptz[], $6::text[], $7::text[]) AS line
    ON CONFLICT DO NOTHING
), enqueued AS (
    INSERT INTO outbox (execution_id, workspace_id, priority, traceparent)
    SELECT id, workspace_id, greatest(priority, $8::smallint), traceparent FROM released WHERE status = 'queued'
)
SELECT status, pg_notify('execution_changed', id::text)::text, pg_notify('outbox', '')::text FROM released";

/// End of an attempt.
#[derive(Debug)]
pub enum AttemptEnd<'a> {
    /// The execution ends with this verdict.
    Final { verdict: &'a Verdict, phases: Phases },
    /// The execution runs again after this time, because of the script's own fault.
    Retry { after: Duration },
    /// The execution runs again at once on another worker, since this one stopped its run.
    Release,
}

/// Measurements of a run.
#[derive(Clone, Copy, Debug)]
pub struct Phases {
    pub usage: Usage,
    /// Time at which the run ended and persisting began.
    pub ended_at: Instant,
}

/// End of an execution, with the log lines that are not stored yet.
pub(super) struct Finish {
    pub(super) attempt: Attempt,
    pub(super) verdict: Verdict,
    pub(super) phases: Phases,
    pub(super) lines: Vec<LogLine>,
}

impl Finish {
    /// Executes [`FINISH`]. Returns a row if the attempt belonged to the worker.
    pub(super) async fn execute(
        &self,
        client: &Client,
        statement: &Statement,
        worker_id: &str,
    ) -> Result<Option<Row>, tokio_postgres::Error> {
        let Self { attempt, verdict, phases: Phases { usage, ended_at }, lines } = self;
        let columns = Columns::of(lines);
        let (result, error) = match verdict {
            Verdict::Completed(result) => (Some(result.get()), None),
            Verdict::Failed(error) => (None, Some(error)),
        };
        let status = verdict.status();
        debug_assert!(Status::Running.may_become(status));
        let position = |of: fn(&ExecutionError) -> Option<u32>| {
            error.and_then(of).map(|number| i32::try_from(number).unwrap_or(i32::MAX))
        };
        let outcome: [&(dyn ToSql + Sync); 12] = [
            &status.as_str(),
            &result,
            &error.map(|error| error.code.as_str()),
            &error.map(|error| &error.message),
            &error.and_then(|error| error.stack.as_ref()),
            &position(|error| error.line),
            &position(|error| error.column),
            &milliseconds(usage.init),
            &milliseconds(usage.run),
            &milliseconds(usage.cpu),
            &i64::try_from(usage.memory_peak_bytes).unwrap_or(i64::MAX),
            &milliseconds(ended_at.elapsed()),
        ];
        let values = [&fence(attempt, &worker_id, &columns)[..], &outcome].concat();
        client.query_opt(statement, &values).await
    }
}

/// Returns the parameters with which every end of an attempt begins: the attempt, its worker, and the columns of its
/// log lines.
fn fence<'a>(
    attempt: &'a Attempt,
    worker_id: &'a &'a str,
    columns: &'a Columns<'_>,
) -> [&'a (dyn ToSql + Sync); 7] {
    [
        &attempt.execution_id,
        &attempt.number,
        worker_id,
        &columns.seqs,
        &columns.times,
        &columns.levels,
        &columns.messages,
    ]
}

impl Claims {
    /// Ends the attempt and stores its last log lines with it.
    pub async fn end(
        &self,
        attempt: Attempt,
        end: &AttemptEnd<'_>,
        lines: &[LogLine],
    ) -> Result<FencedWrite, DatabaseError> {
        match end {
            AttemptEnd::Final { verdict, phases } => self.finish(attempt, verdict, *phases, lines).await,
            AttemptEnd::Retry { after } => self.retry(attempt, *after, lines).await,
            AttemptEnd::Release => self.release(attempt, lines).await,
        }
    }

    async fn finish(
        &self,
        attempt: Attempt,
        verdict: &Verdict,
        phases: Phases,
        lines: &[LogLine],
    ) -> Result<FencedWrite, DatabaseError> {
        let finish = Finish { attempt, verdict: verdict.clone(), phases, lines: lines.to_vec() };
        let OperationAnswer { row, .. } = self.batcher.perform(Operation::Finish(Box::new(finish))).await?;
        Ok(FencedWrite::from_rows(row.iter().len()))
    }

    async fn retry(
        &self,
        attempt: Attempt,
        after: Duration,
        lines: &[LogLine],
    ) -> Result<FencedWrite, DatabaseError> {
        let connection = self.database.connection().await?;
        let statement = connection.prepare_cached(RETRY).await?;
        let (columns, worker_id, seconds) = (Columns::of(lines), &*self.worker_id, after.as_secs_f64());
        let values = [&fence(&attempt, &worker_id, &columns)[..], &[&seconds]].concat();
        Ok(FencedWrite::from_rows(connection.query(&statement, &values).await?.len()))
    }

    async fn release(&self, attempt: Attempt, lines: &[LogLine]) -> Result<FencedWrite, DatabaseError> {
        let connection = self.database.connection().await?;
        let statement = connection.prepare_cached(RELEASE).await?;
        let (columns, worker_id) = (Columns::of(lines), &*self.worker_id);
        let values = [&fence(&attempt, &worker_id, &columns)[..], &[&priority::RETURNED]].concat();
        let rows = connection.query(&statement, &values).await?;
        for row in &rows {
            if row.try_get::<_, &str>("status")? == Status::Cancelled.as_str() {
                EXECUTIONS.with([Status::Cancelled.as_str(), ErrorCode::Cancelled.as_str()]).increment(1);
            }
        }
        Ok(FencedWrite::from_rows(rows.len()))
    }
}
