//! The hash by which two requests with one idempotency key are compared, over HTTP and over the broker.

mod canonical;

use super::execution::{ReplayRequest, ReplayVersion, TestRun};
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

/// Returns the hash of a request to repeat an execution. It must never change either.
pub(crate) fn hash_of_replay(original: Uuid, request: &ReplayRequest) -> [u8; 32] {
    let ReplayRequest { version, event, context, variables } = request;
    let mut hash = Sha256::new_with_prefix("replay");
    hash.update(original.as_bytes());
    hash.update(match version {
        ReplayVersion::Same => "same".to_owned(),
        ReplayVersion::Newest => "newest".to_owned(),
        ReplayVersion::Number(number) => number.to_string(),
    });
    for object in [event, context, variables] {
        // An object that is left out keeps the stored one, and is not the same as an empty one.
        hash.update([0]);
        hash.update(object.as_deref().map(canonical::of).unwrap_or_default());
    }
    hash.finalize().into()
}

/// Returns the hash of a request to run unsaved code. It must never change either. Of `env` it covers the names only,
/// since a hash of short secrets would give them away.
pub(crate) fn hash_of_test(request: &TestRun) -> [u8; 32] {
    let TestRun { code, code_type, input, variables, env, allowed_domains } = request;
    let mut hash = Sha256::new_with_prefix("test");
    let names = env.keys().chain(allowed_domains).map(String::as_str);
    hash.update(env.len().to_be_bytes());
    for text in [code.as_str(), code_type.as_str()].into_iter().chain(names) {
        hash.update(text.len().to_be_bytes());
        hash.update(text);
    }
    for object in [&input.event, &input.context, variables] {
        hash.update([0]);
        hash.update(canonical::of(object));
    }
    hash.finalize().into()
}
