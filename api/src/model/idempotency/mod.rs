//! The hash by which two requests with one idempotency key are compared, over HTTP and over the broker.

mod canonical;

use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use shared::execution::TriggerType;
use uuid::Uuid;

/// The parts of a request for an execution that make it the same as another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    pub script_id: Uuid,
    pub trigger_type: TriggerType,
    pub event: &'a RawValue,
    pub context: &'a RawValue,
    /// The client's values, without defaults: a default that changes makes no other request.
    pub variables: &'a RawValue,
}

/// Returns the hash of a request: equal for all requests that mean the same. It must never change, since keys are
/// stored with it for days.
pub(crate) fn hash(asked: &Asked<'_>) -> [u8; 32] {
    let Asked { script_id, trigger_type, event, context, variables } = asked;
    let mut hash = Sha256::new_with_prefix(script_id.as_bytes());
    hash.update(trigger_type.as_str());
    for object in [event, context, variables] {
        hash.update([0]);
        hash.update(canonical::of(object));
    }
    hash.finalize().into()
}
