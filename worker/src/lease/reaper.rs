//! Takes over runs whose worker no longer answers.
//!
//! Invariant: the database's clock alone decides that a lease is over, and a run is taken only after its worker had
//! the time to renew the lease while the database could be written. A clock that goes back prolongs no lease.

mod watch;

use super::LEASE;
use crate::db::{Database, DatabaseError};
use shared::{
    backoff::Backoff,
    telemetry::metrics::{EXECUTIONS, RECLAIMED},
};
use std::time::{Duration, Instant};
use uuid::Uuid;
use watch::{Stale, Watch};

/// Between two looks; every worker looks. With the lease of 10 s and the delay below, a lost run is in the queue
/// again at most 14 s after its worker's last heartbeat.
const INTERVAL: Duration = Duration::from_secs(2);
/// A lease that was not renewed for this long is watched: little longer than between two heartbeats, so that a dead
/// worker's runs are watched for [`watch::CHANCE`] before their leases are over.
const STALE: Duration = Duration::from_millis(3_500);
/// Before the second attempt, in seconds; doubled for every further one, and spread by half.
const DELAY_S: f64 = 1.0;

/// Parameters: the lease, and what a stale one has left at most, in seconds. A lease that no heartbeat can have set is
/// from before the clock went back: it begins anew. That is a write, even if there is none: the look fails, as a
/// heartbeat does, while the table can't be written.
const STALE_LEASES: &str = "
WITH overlong AS (
    UPDATE script_executions SET lease_expires_at = now() + make_interval(secs => $1::float8)
    WHERE status = 'running' AND lease_expires_at > now() + make_interval(secs => 2 * $1::float8)
)
SELECT id, lease_expires_at::text, lease_expires_at < now() FROM script_executions
WHERE status = 'running' AND lease_expires_at < now() + make_interval(secs => $2::float8)
ORDER BY lease_expires_at
LIMIT 1000";

/// Parameters: the delay in seconds, the runs. The last attempt's loss ends the execution; one that was to be
/// cancelled is.
const REAP: &str = "
WITH lost AS (
    SELECT id FROM script_executions
    WHERE id = ANY($2::uuid[]) AND status = 'running' AND lease_expires_at < now()
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

/// The reaper of one worker process. Each has its own view of how long the database could be written.
#[derive(Debug)]
pub struct Reaper {
    database: Database,
    watch: Watch,
}

impl Reaper {
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self { database, watch: Watch::default() }
    }

    /// Reaps for as long as it is polled.
    pub async fn run(mut self) {
        let mut interval = Backoff::new(INTERVAL, INTERVAL);
        loop {
            interval.wait().await;
            if let Err(error) = self.look().await {
                tracing::warn!(%error, "can't look for lost runs");
            }
        }
    }

    /// Takes over the lost runs there are now, at most 100, and counts them.
    pub async fn look(&mut self) -> Result<Vec<Reaped>, DatabaseError> {
        let looked = self.try_look().await;
        if looked.is_err() {
            self.watch.interrupt();
        }
        looked
    }

    async fn try_look(&mut self) -> Result<Vec<Reaped>, DatabaseError> {
        let connection = self.database.connection().await?;
        let statement = connection.prepare_cached(STALE_LEASES).await?;
        let left = LEASE.saturating_sub(STALE).as_secs_f64();
        let rows = connection.query(&statement, &[&LEASE.as_secs_f64(), &left]).await?;
        let stale = |row: &tokio_postgres::Row| {
            Ok(Stale { execution_id: row.try_get(0)?, lease: row.try_get(1)?, is_over: row.try_get(2)? })
        };
        let stale = rows.iter().map(stale).collect::<Result<Vec<_>, DatabaseError>>()?;
        let mut lost = self.watch.look(Instant::now(), stale);
        if lost.is_empty() {
            return Ok(Vec::new());
        }
        lost.truncate(100);
        let statement = connection.prepare_cached(REAP).await?;
        let rows = connection.query(&statement, &[&DELAY_S, &lost]).await?;
        let reaped = |row: &tokio_postgres::Row| {
            Ok(Reaped { execution_id: row.try_get(0)?, status: row.try_get(1)?, attempt: row.try_get(2)? })
        };
        let reaped = rows.iter().map(reaped).collect::<Result<Vec<_>, DatabaseError>>()?;
        reaped.iter().for_each(report);
        Ok(reaped)
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
