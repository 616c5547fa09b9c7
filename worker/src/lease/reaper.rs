//! Takes over runs whose worker no longer sends heartbeats.
//!
//! Invariant: the database's clock alone decides that a lease is over. A run is taken over only after its worker had
//! the time to renew the lease while the database was writable. A clock that is set back prolongs no lease.

mod watch;

use super::LEASE;
use crate::db::{Database, DatabaseError};
use shared::{
    backoff::Backoff,
    delivery::priority,
    telemetry::metrics::{EXECUTIONS, RECLAIMED},
};
use std::time::{Duration, Instant};
use uuid::Uuid;
use watch::{LeaseWatch, StaleLease};

/// Interval between two scans of a worker, in seconds. Every worker scans. With the lease of 10 s and the delay below,
/// a lost run is in the queue again at most 14 s after its worker's last heartbeat.
const SCAN_INTERVAL: Duration = Duration::from_secs(2);
/// Age, in milliseconds, from which a lease that was not renewed is watched. It is little longer than the interval
/// between two heartbeats, so that a dead worker's runs are watched for [`watch::RENEWAL_TIME`] before their leases
/// are over.
const STALE_AFTER: Duration = Duration::from_millis(3_500);
/// Delay before the second attempt, in seconds. It doubles for every further one, and up to half of it is taken off at
/// random.
const RETRY_DELAY_S: f64 = 1.0;

/// Limits the runs that one scan takes over.
const MAX_REAPED: usize = 100;

/// Lists leases that were not renewed. Parameters: length of a lease, and the time that a stale one has left at most,
/// both in seconds.
///
/// First resets leases that end more than two lease lengths from now: the database's clock was set back. Being an
/// UPDATE, it also makes the scan fail while the table is read-only, as heartbeats do, so that no lease is judged
/// while no worker could renew it.
const STALE_LEASES: &str = "
WITH overlong AS (
    UPDATE script_executions SET lease_expires_at = now() + make_interval(secs => $1::float8)
    WHERE status = 'running' AND lease_expires_at > now() + make_interval(secs => 2 * $1::float8)
)
SELECT id, lease_expires_at::text, lease_expires_at < now() FROM script_executions
WHERE status = 'running' AND lease_expires_at < now() + make_interval(secs => $2::float8)
ORDER BY lease_expires_at
LIMIT 1000";

/// Queues or ends lost executions. Parameters: delay in seconds, executions, priority. The loss of the last attempt
/// ends the execution. An execution whose cancel was requested ends cancelled. The higher priority puts an execution
/// before the backlog, since it had reached the head of the queue before.
const REAP: &str = include_str!("reap.sql");

/// Reaper of one worker process. Each measures for itself how long the database was writable.
#[derive(Debug)]
pub struct Reaper {
    database: Database,
    watch: LeaseWatch,
}

impl Reaper {
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self { database, watch: LeaseWatch::default() }
    }

    /// Reaps for as long as it is polled.
    pub async fn run(mut self) {
        let mut interval = Backoff::new(SCAN_INTERVAL, SCAN_INTERVAL);
        loop {
            interval.wait().await;
            if let Err(error) = self.scan().await {
                tracing::warn!(%error, "can't scan for executions of lost workers");
            }
        }
    }

    /// Takes over the runs that are lost now, at most 100, and counts them.
    pub async fn scan(&mut self) -> Result<Vec<Reaped>, DatabaseError> {
        let reaped = self.try_scan().await;
        if reaped.is_err() {
            self.watch.interrupt();
        }
        reaped
    }

    async fn try_scan(&mut self) -> Result<Vec<Reaped>, DatabaseError> {
        let connection = self.database.connection().await?;
        let statement = connection.prepare_cached(STALE_LEASES).await?;
        let left = LEASE.saturating_sub(STALE_AFTER).as_secs_f64();
        let rows = connection.query(&statement, &[&LEASE.as_secs_f64(), &left]).await?;
        let stale = |row: &tokio_postgres::Row| {
            Ok(StaleLease { execution_id: row.try_get(0)?, lease: row.try_get(1)?, is_over: row.try_get(2)? })
        };
        let stale = rows.iter().map(stale).collect::<Result<Vec<_>, DatabaseError>>()?;
        let mut lost = self.watch.observe(Instant::now(), stale);
        if lost.is_empty() {
            return Ok(Vec::new());
        }
        lost.truncate(MAX_REAPED);
        let statement = connection.prepare_cached(REAP).await?;
        let rows = connection.query(&statement, &[&RETRY_DELAY_S, &lost, &priority::RETURNED]).await?;
        let reaped = |row: &tokio_postgres::Row| {
            Ok(Reaped { execution_id: row.try_get(0)?, status: row.try_get(1)?, attempt: row.try_get(2)? })
        };
        let reaped = rows.iter().map(reaped).collect::<Result<Vec<_>, DatabaseError>>()?;
        reaped.iter().for_each(report);
        Ok(reaped)
    }
}

/// Run that was taken over from a lost worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reaped {
    pub execution_id: Uuid,
    /// `queued`, `errored` or `cancelled`.
    pub status: String,
    /// Number of the attempt that was lost.
    pub attempt: i32,
}

fn report(reaped: &Reaped) {
    let Reaped { execution_id, status, attempt } = reaped;
    tracing::warn!(execution.id = %execution_id, attempt, status, "took over the run of a lost worker");
    // The label of a run that is over is its error code as well.
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The first and the second attempt may be lost, the loss of the third ends the execution.
    #[test]
    fn a_lost_run_is_queued_again_within_14_s() {
        assert!(
            include_str!("../../../migrations/0001_initial.sql")
                .contains("max_attempts integer NOT NULL DEFAULT 3,")
        );
        let longest_delay = Duration::from_secs_f64(RETRY_DELAY_S * 2.0);
        let recovery = LEASE + SCAN_INTERVAL + longest_delay;
        assert_eq!(recovery, Duration::from_secs(14));
        let promise = format!("within {} s", recovery.as_secs());
        assert!(include_str!("../../../README.md").contains(&promise));
        assert!(include_str!("../../../docs/delivery.md").contains(&promise));
    }

    /// A lease that a worker could have renewed is watched before it is over, so that watching delays nothing.
    #[test]
    fn leases_are_watched_before_they_are_over() {
        assert!(STALE_AFTER + SCAN_INTERVAL + watch::RENEWAL_TIME <= LEASE);
    }
}
