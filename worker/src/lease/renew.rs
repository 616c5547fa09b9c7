//! One statement tells that this worker lives, keeps its leases, and asks what was cancelled.

use super::{Attempt, Claims, LEASE};
use crate::db::DatabaseError;
use uuid::Uuid;

/// Parameters: worker, slots, busy, layers, draining; held executions and their attempts; lease in seconds.
const BEAT: &str = "
WITH me AS (
    INSERT INTO workers (id, slots, busy, layers, draining) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (id) DO UPDATE SET
        slots = excluded.slots, busy = excluded.busy, layers = excluded.layers, draining = excluded.draining,
        last_seen_at = now()
), held AS (
    SELECT id, attempt FROM unnest($6::uuid[], $7::int[]) AS held (id, attempt)
)
UPDATE script_executions e SET lease_expires_at = now() + make_interval(secs => $8)
FROM held
WHERE e.id = held.id AND e.attempt = held.attempt AND e.worker_id = $1 AND e.status = 'running'
RETURNING e.id, e.attempt, e.cancel_requested_at IS NOT NULL AS cancel_requested";

/// Those that died without a word are shown no longer after an hour.
const FORGET: &str = "DELETE FROM workers WHERE id = $1 OR last_seen_at < now() - interval '1 hour'";

/// What others may know of this worker.
#[derive(Clone, Debug)]
pub struct WorkerRow {
    pub slots: i32,
    pub busy: i32,
    /// Isolation layers in force.
    pub layers: Vec<String>,
    pub draining: bool,
}

/// An attempt that is still ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pulse {
    pub attempt: Attempt,
    pub cancel_requested: bool,
}

impl Claims {
    /// Extends the leases of `held`. What is missing in the answer is no longer ours.
    pub async fn beat(&self, row: &WorkerRow, held: &[Attempt]) -> Result<Vec<Pulse>, DatabaseError> {
        let ids: Vec<Uuid> = held.iter().map(|attempt| attempt.execution_id).collect();
        let attempts: Vec<i32> = held.iter().map(|attempt| attempt.number).collect();
        let connection = self.database.connection().await?;
        let statement = connection.prepare_cached(BEAT).await?;
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
        let pulse = |row: &tokio_postgres::Row| {
            let attempt = Attempt { execution_id: row.try_get("id")?, number: row.try_get("attempt")? };
            Ok(Pulse { attempt, cancel_requested: row.try_get("cancel_requested")? })
        };
        rows.iter().map(pulse).collect()
    }

    /// Takes this worker out of the list; it is gone by its own will.
    pub async fn sign_off(&self) -> Result<(), DatabaseError> {
        let connection = self.database.connection().await?;
        connection.execute(FORGET, &[&&*self.worker_id]).await?;
        Ok(())
    }
}
