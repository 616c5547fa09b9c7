//! Waiting for the row of an execution whose message went ahead of it.
//!
//! Invariant: only a message of a new execution holds up its slot, and for no longer than [`ROW_PATIENCE`]: a broker full of
//! messages whose executions were erased is drained at full speed.

use super::Claims;
use crate::database::DatabaseError;
use shared::message::ROW_PATIENCE;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use uuid::Uuid;

const STATUS: &str = "SELECT status = 'queued' FROM script_executions WHERE id = $1";

/// Between two looks; doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(64);
/// An execution is new for this long by its id, which the api's clock made and ours compares.
const NEW: Duration = Duration::from_mins(1);

impl Claims {
    /// Whether the execution waits for a worker, to be asked when a claim found nothing: its row may have come meanwhile,
    /// or comes while this waits.
    pub(super) async fn is_queued(&self, execution_id: Uuid) -> Result<bool, DatabaseError> {
        if !is_new(execution_id, SystemTime::now()) {
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

/// Ids are UUIDs of version 7 (RFC 9562): they carry the time of their birth.
fn is_new(execution_id: Uuid, now: SystemTime) -> bool {
    let Some((seconds, nanoseconds)) = execution_id.get_timestamp().map(|born| born.to_unix()) else {
        return false;
    };
    let born = UNIX_EPOCH + Duration::new(seconds, nanoseconds);
    let age = now.duration_since(born).unwrap_or_else(|ahead| ahead.duration());
    age < NEW
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::{NoContext, Timestamp};

    fn born(unix_seconds: u64) -> Uuid {
        Uuid::new_v7(Timestamp::from_unix(NoContext, unix_seconds, 0))
    }

    #[test]
    fn only_what_was_born_within_a_minute_is_new() {
        let now = UNIX_EPOCH + Duration::from_secs(1_000_000);
        assert!(is_new(born(1_000_000), now));
        assert!(is_new(born(1_000_000 - 59), now));
        assert!(is_new(born(1_000_000 + 59), now), "clocks differ");
        assert!(!is_new(born(1_000_000 - 61), now));
        assert!(!is_new(born(1_000_000 + 61), now));
        assert!(!is_new(Uuid::from_u128(1), now));
    }
}
