//! Bodies of AMQP messages. They are versioned, and have ids instead of payloads for data that the database stores.

use crate::execution::TriggerType;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

/// Version of the messages that this build writes and reads.
pub const VERSION: u8 = 1;

/// Body on `runnerctl.executions`: asks a worker to run an execution whose row is committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExecutionMessage {
    pub v: u8,
    pub execution_id: Uuid,
}

/// Body on `runnerctl.events`: a trigger requests one execution per `idempotency_key`.
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
