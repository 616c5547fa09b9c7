//! Takes over runs whose worker no longer answers.
//!
//! Invariant: the database's clock alone decides that a lease is over, and not before workers had the time to renew
//! theirs after the database itself was away. A clock that goes back prolongs no lease.

use crate::{
    claims::LEASE,
    database::{Database, DatabaseError},
};
use shared::{
    backoff::Backoff,
    telemetry::metrics::{EXECUTIONS, RECLAIMED},
};
use std::time::Duration;
use uuid::Uuid;

/// Between two looks; every worker looks. With the lease of 10 s and the delay below, a lost run is in the queue
/// again at most 14 s after its worker's last heartbeat.
const INTERVAL: Duration = Duration::from_secs(2);
/// Before the second attempt, in seconds; doubled for every further one, and spread by half.
const DELAY_S: f64 = 1.0;

/// Parameters: the delay and the lease, in seconds. The last attempt's loss ends the execution; one that was to be
/// cancelled is. A lease that no heartbeat can have set is from before the clock went back: it begins anew.
const REAP: &str = "
WITH overlong AS (
    UPDATE script_executions SET lease_expires_at = now() + make_interval(secs => $2::float8)
    WHERE status = 'running' AND lease_expires_at > now() + make_interval(secs => 2 * $2::float8)
), lost AS (
    SELECT id FROM script_executions
    WHERE status = 'running' AND lease_expires_at < now()
        AND pg_postmaster_start_time() < now() - interval '10 seconds'
    ORDER BY lease_expires_at
    LIMIT 100
    FOR UPDATE SKIP LOCKED
), reaped AS (
    UPDATE script_executions e SET
        status = next.status,
        error_code = next.error_code,
        error_message = CASE next.error_code
            WHEN 'worker_lost' THEN 'the worker that ran it stopped answering, ' || e.attempt || ' times'
            WHEN 'cancelled' THEN 'cancelled' END,
        finished_at = CASE WHEN next.status <> 'queued' THEN clock_timestamp() END,
        started_at = CASE WHEN next.status <> 'queued' THEN e.started_at END,
        worker_id = NULL, lease_expires_at = NULL
    FROM lost JOIN script_executions l USING (id), LATERAL (
        SELECT
            CASE WHEN l.cancel_requested_at IS NOT NULL THEN 'cancelled'
                WHEN l.attempt >= l.max_attempts THEN 'errored' ELSE 'queued' END AS status,
            CASE WHEN l.cancel_requested_at IS NOT NULL THEN 'cancelled'
                WHEN l.attempt >= l.max_attempts THEN 'worker_lost' END AS error_code
    ) next
    WHERE e.id = lost.id
    RETURNING e.id, e.workspace_id, e.priority, e.traceparent, e.status, e.attempt
), enqueued AS (
    -- It had its turn before: it does not queue up again behind what came later.
    INSERT INTO outbox (execution_id, workspace_id, priority, traceparent, available_at)
    SELECT id, workspace_id, greatest(priority, 5::smallint), traceparent,
        now() + make_interval(secs => $1::float8 * 2 ^ (attempt - 1) * (0.5 + random() / 2))
    FROM reaped WHERE status = 'queued'
)
SELECT id, status, attempt, pg_notify('execution_changed', id::text)::text, pg_notify('outbox', '')::text FROM reaped";

/// Reaps for as long as it is polled.
pub async fn run(database: &Database) {
    let mut interval = Backoff::new(INTERVAL, INTERVAL);
    loop {
        interval.wait().await;
        match reap(database).await {
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "can't look for lost runs"),
        }
    }
}

/// A run that was taken from its worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reaped {
    pub execution_id: Uuid,
    /// `queued`, `errored` or `cancelled`.
    pub status: String,
    /// The attempt that was lost.
    pub attempt: i32,
}

fn report(reaped: &Reaped) {
    let Reaped { execution_id, status, attempt } = reaped;
    tracing::warn!(execution.id = %execution_id, attempt, status, "took over the run of a lost worker");
    // A status that ends the execution has an error code of the same name as what became of the run.
    let (outcome, is_over) = match status.as_str() {
        "queued" => ("requeued", false),
        "errored" => ("worker_lost", true),
        _ => ("cancelled", true),
    };
    RECLAIMED.with([outcome]).increment(1);
    if is_over {
        EXECUTIONS.with([status.as_str(), outcome].map(str::to_owned)).increment(1);
    }
}

/// Takes over the lost runs there are now, at most 100, and counts them.
pub async fn reap(database: &Database) -> Result<Vec<Reaped>, DatabaseError> {
    let connection = database.connection().await?;
    let statement = connection.prepare_cached(REAP).await?;
    let rows = connection.query(&statement, &[&DELAY_S, &LEASE.as_secs_f64()]).await?;
    let reaped = |row: &tokio_postgres::Row| {
        Ok(Reaped { execution_id: row.try_get(0)?, status: row.try_get(1)?, attempt: row.try_get(2)? })
    };
    let reaped = rows.iter().map(reaped).collect::<Result<Vec<_>, DatabaseError>>()?;
    reaped.iter().for_each(report);
    Ok(reaped)
}
