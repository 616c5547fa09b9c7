//! Heartbeat: one statement that reports this worker's slots, renews its leases, and returns requested cancels.

use super::{Attempt, Claims, LEASE};
use crate::db::DatabaseError;
use uuid::Uuid;

/// Parameters: worker, slots, busy, layers, draining; executions in flight and their attempts; lease in seconds.
const RENEW_LEASES: &str = "
WITH me AS (
    INSERT INTO workers (id, slots, busy, layers, draining) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (id) DO UPDATE SET
        slots = excluded.slots, busy = excluded.busy, layers = excluded.layers, draining = excluded.draining,
        last_seen_at = now()
), in_flight AS (
    SELECT id, attempt FROM unnest($6::uuid[], $7::int[]) AS in_flight (id, attempt)
)
UPDATE script_executions e SET lease_expires_at = now() + make_interval(secs => $8)
FROM in_flight
WHERE e.id = in_flight.id AND e.attempt = in_flight.attempt AND e.worker_id = $1 AND e.status = 'running'
RETURNING e.id, e.attempt, e.cancel_requested_at IS NOT NULL AS cancel_requested";

/// Parameter: worker. Deletes the rows of workers without a heartbeat for an hour as well: they died without
/// deregistering.
const DEREGISTER: &str = "DELETE FROM workers WHERE id = $1 OR last_seen_at < now() - interval '1 hour'";

/// State of this worker that its row reports.
#[derive(Clone, Debug)]
pub struct WorkerRow {
    pub slots: i32,
    pub busy: i32,
    /// Isolation layers that hold.
    pub layers: Vec<String>,
    pub draining: bool,
}

/// Answer of a heartbeat for an attempt that still belongs to this worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeartbeatReply {
    pub attempt: Attempt,
    pub cancel_requested: bool,
}

impl Claims {
    /// Writes this worker's row and renews the leases of `in_flight`. An attempt without a reply is over, or belongs to
    /// another worker.
    pub async fn heartbeat(
        &self,
        row: &WorkerRow,
        in_flight: &[Attempt],
    ) -> Result<Vec<HeartbeatReply>, DatabaseError> {
        // In the order in which batches lock rows: see `super::batch`.
        let mut in_flight = in_flight.to_vec();
        in_flight.sort_by_key(|attempt| attempt.execution_id);
        let ids: Vec<Uuid> = in_flight.iter().map(|attempt| attempt.execution_id).collect();
        let attempts: Vec<i32> = in_flight.iter().map(|attempt| attempt.number).collect();
        let connection = self.database.connection().await?;
        let statement = connection.prepare_cached(RENEW_LEASES).await?;
        let rows = connection
            .query(
                &statement,
                &[
                    &&*self.worker_id,
                    &row.slots,
                    &row.busy,
                    &row.layers,
                    &row.draining,
                    &ids,
                    &attempts,
                    &LEASE.as_secs_f64(),
                ],
            )
            .await?;
        let reply = |row: &tokio_postgres::Row| {
            let attempt = Attempt { execution_id: row.try_get("id")?, number: row.try_get("attempt")? };
            Ok(HeartbeatReply { attempt, cancel_requested: row.try_get("cancel_requested")? })
        };
        rows.iter().map(reply).collect()
    }

    /// Deletes this worker's row when it stops.
    pub async fn deregister(&self) -> Result<(), DatabaseError> {
        let connection = self.database.connection().await?;
        connection.execute(DEREGISTER, &[&&*self.worker_id]).await?;
        Ok(())
    }
}
