//! The bodies of AMQP messages: versioned, and with ids instead of payloads where the database holds the truth.

use crate::execution::TriggerType;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use uuid::Uuid;

/// The version this build writes and reads.
pub const VERSION: u8 = 1;

/// How long a worker waits for the row of a message that went ahead of it.
pub const ROW_PATIENCE: Duration = Duration::from_secs(1);

/// An execution is new for this long: the row of an older one is not waited for. Who made its id and who asks may have clocks
/// that differ by almost as much.
pub const NEW: Duration = Duration::from_mins(1);

/// Body on `runnerctl.executions`: asks a worker to run an execution whose row is committed, or about to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExecutionMessage {
    pub v: u8,
    pub execution_id: Uuid,
}

/// Body on `runnerctl.events`: a trigger asks for one execution per `idempotency_key`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventMessage {
    pub v: u8,
    pub idempotency_key: String,
    pub workspace_slug: String,
    pub script_id: Uuid,
    pub trigger_type: TriggerType,
    pub event: Box<RawValue>,
    #[serde(default)]
    pub context: Option<Box<RawValue>>,
    #[serde(default)]
    pub variables: Option<Box<RawValue>>,
}

/// Whether an id is less than `limit` old. Ids are UUIDs of version 7 (RFC 9562): they carry the time of their birth.
#[must_use]
pub fn is_new(execution_id: Uuid, now: SystemTime, limit: Duration) -> bool {
    let Some((seconds, nanoseconds)) = execution_id.get_timestamp().map(|born| born.to_unix()) else {
        return false;
    };
    let born = UNIX_EPOCH + Duration::new(seconds, nanoseconds);
    now.duration_since(born).unwrap_or_else(|ahead| ahead.duration()) < limit
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::{NoContext, Timestamp};

    fn born(unix_seconds: u64) -> Uuid {
        Uuid::new_v7(Timestamp::from_unix(NoContext, unix_seconds, 0))
    }

    #[test]
    fn only_what_was_born_within_the_limit_is_new() {
        let now = UNIX_EPOCH + Duration::from_secs(1_000_000);
        for (age, expected) in [(0, true), (59, true), (-59, true), (61, false), (-61, false)] {
            assert_eq!(
                is_new(born(1_000_000_u64.saturating_sub_signed(age)), now, NEW),
                expected,
                "{age} s old"
            );
        }
        assert!(!is_new(Uuid::from_u128(1), now, NEW), "it carries no time");
    }
}
