//! Waiting for the row of an execution whose message went ahead of it.
//!
//! Invariant: only a message of a new execution holds up its slot, and while the database answers for no longer than
//! [`ROW_PATIENCE`]: a broker full of messages whose executions were erased is drained at full speed.

use super::Claims;
use crate::db::DatabaseError;
use shared::message::{NEW, ROW_PATIENCE, is_new};
use std::time::{Duration, Instant, SystemTime};
use uuid::Uuid;

pub(super) const STATUS: &str = "SELECT status = 'queued' FROM script_executions WHERE id = $1";

/// Between two looks; doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(64);

impl Claims {
    /// Whether the execution waits for a worker, to be asked when a claim found nothing: its row may have come meanwhile,
    /// or comes while this waits.
    pub(super) async fn is_queued(&self, execution_id: Uuid) -> Result<bool, DatabaseError> {
        if !is_new(execution_id, SystemTime::now(), NEW) {
            return Ok(false);
        }
        let began = Instant::now();
        let mut pause = FIRST_PAUSE;
        loop {
            let connection = self.database.connection().await?;
            let look = connection.prepare_cached(STATUS).await?;
            if let Some(row) = connection.query_opt(&look, &[&execution_id]).await? {
                return Ok(row.try_get(0)?);
            }
            drop(connection);
            if began.elapsed() >= ROW_PATIENCE {
                return Ok(false);
            }
            tokio::time::sleep(pause).await;
            pause = LONGEST_PAUSE.min(pause * 2);
        }
    }
}
