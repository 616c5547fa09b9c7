//! `POST /executions/`.

use super::accepted;
use crate::{
    auth::{Execute, May},
    error::ApiError,
    payload::Payload,
    query::{NoQuery, Query},
    relay::Outgoing,
    resources::execution::{Execution, ExecutionRequest, Input},
    routes::answers::{Conflict, NotFound, Refusals},
    state::AppState,
    store::{self, executions::KeyUse},
    submit::{self, BACKGROUND, Submission, complete_variables},
};
use axum::{extract::State, http::HeaderMap, response::Response};
use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};
use shared::telemetry::traces::{self, TRACEPARENT};
use sqlx::{Connection, PgConnection};
use std::sync::Arc;
use uuid::Uuid;

const IDEMPOTENCY_KEY: &str = "idempotency-key";
const MAX_KEY: usize = 255;

/// Execute a script
///
/// Queued at once, run as soon as a worker is free. The same `Idempotency-Key` with the same body answers the first
/// execution; with another body it is refused (409).
#[utoipa::path(post, path = "/executions/", tag = "Executions", request_body = ExecutionRequest,
    params(("Idempotency-Key" = Option<String>, Header, description = "Unique per intended execution", max_length = 255)),
    responses((status = 202, description = "Queued, or queued before by the same key", body = Execution), NotFound, Conflict, Refusals))]
pub(crate) async fn create(
    State(state): State<AppState>,
    caller: May<Execute>,
    Query(NoQuery): Query<NoQuery>,
    headers: HeaderMap,
    Payload(request): Payload<ExecutionRequest>,
) -> Result<Response, ApiError> {
    let key = idempotency_key(&headers)?;
    let mut accept = traces::accept(traceparent(&headers));
    let hash = request_hash(&request);
    if let Some(key) = key
        && let Some(earlier) =
            store::executions::find_key(&state.pool, caller.workspace_id, key, &hash).await?
    {
        // Before anything else: a repeat is answered also when the queue is full, or the script gone.
        return accepted::before(&state, &caller, first_of(&earlier)?).await;
    }
    // One for all that follows: each that is given back is pinged first.
    let mut connection = state.pool.acquire().await?;
    let (runnable, definitions) =
        store::executions::runnable(&mut *connection, caller.workspace_id, request.script_id)
            .await?
            .ok_or_else(|| ApiError::not_found("script"))?;
    let variables = complete_variables(&request.variables, &definitions).map_err(ApiError::Invalid)?;
    state.quota.admit(&mut *connection, caller.workspace_id).await?;
    let submission = Submission {
        id: Uuid::now_v7(),
        workspace_id: caller.workspace_id,
        trigger_type: request.trigger_type,
        runnable,
        input: Input { event: request.event, context: request.context },
        variables,
        env_sealed: None,
        priority: BACKGROUND,
        traceparent: accept.traceparent(),
        replay_of: None,
    };
    let (outgoing, key) = (state.outgoing.clone(), key.map(str::to_owned));
    let submitting = async move {
        let once = submit_once(&outgoing, &mut connection, &submission, key.as_deref(), &hash).await?;
        Ok::<_, ApiError>((once, submission))
    };
    let (once, submission) = state.outgoing.see_through(submitting).await?;
    accept.of_execution(once.id(&submission));
    drop(accept);
    match once {
        Once::Now { queued_at } => Ok(accepted::now(&caller, submission, queued_at)),
        Once::Before(earlier) => accepted::before(&state, &caller, earlier).await,
    }
}

/// Whether a request brought its execution into being, or one with the same key did before.
enum Once {
    Now { queued_at: DateTime<Utc> },
    Before(Uuid),
}

impl Once {
    const fn id(&self, submission: &Submission) -> Uuid {
        match self {
            Self::Now { .. } => submission.id,
            Self::Before(earlier) => *earlier,
        }
    }
}

/// Submits, unless the key led to an execution before.
async fn submit_once(
    outgoing: &Arc<Outgoing>,
    connection: &mut PgConnection,
    submission: &Submission,
    key: Option<&str>,
    request_hash: &[u8],
) -> Result<Once, ApiError> {
    let ticket = outgoing.ticket();
    let Some(key) = key else {
        let submitted = submit::submit(connection, submission, ticket.as_ref()).await?;
        outgoing.leave(submitted.departure);
        return Ok(Once::Now { queued_at: submitted.queued_at });
    };
    let mut transaction = connection.begin().await?;
    let key_use = store::executions::claim_key(
        &mut transaction,
        submission.workspace_id,
        key,
        request_hash,
        submission.id,
    );
    let Some(earlier) = key_use.await? else {
        let submitted = submit::submit(&mut transaction, submission, ticket.as_ref()).await?;
        transaction.commit().await?;
        outgoing.leave(submitted.departure);
        return Ok(Once::Now { queued_at: submitted.queued_at });
    };
    first_of(&earlier).map(Once::Before)
}

/// The execution that a key led to when it was first used.
fn first_of(earlier: &KeyUse) -> Result<Uuid, ApiError> {
    match earlier {
        KeyUse::SameRequest(first) => Ok(*first),
        KeyUse::AnotherRequest => {
            let detail = "This Idempotency-Key was used with another body.";
            Err(ApiError::conflict("idempotency_key_reused", detail))
        }
    }
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<&str>, ApiError> {
    let Some(value) = headers.get(IDEMPOTENCY_KEY) else { return Ok(None) };
    let key = value.to_str().ok().filter(|key| (1..=MAX_KEY).contains(&key.len()));
    key.map(Some).ok_or_else(|| {
        ApiError::field("Idempotency-Key", format!("Must be 1 to {MAX_KEY} visible ASCII characters."))
    })
}

/// What two requests with the same meaning have in common: order of keys and spaces aside, all of the body.
fn request_hash(request: &ExecutionRequest) -> [u8; 32] {
    let ExecutionRequest { script_id, trigger_type, event, context, variables } = request;
    let mut hash = Sha256::new_with_prefix(script_id.as_bytes());
    hash.update(trigger_type.as_str());
    for object in [event, context, variables] {
        // Reading sorts the keys. A number that does not fit is compared as it is written.
        let canonical = serde_json::from_str::<serde_json::Value>(object.get())
            .map_or_else(|_| object.get().to_owned(), |value| value.to_string());
        hash.update([0]);
        hash.update(canonical);
    }
    hash.finalize().into()
}

/// The caller's trace, if it is a well-formed W3C `traceparent`.
pub(in crate::routes) fn traceparent(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(TRACEPARENT)?.to_str().ok()?;
    traces::is_traceparent(text).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::parse;

    fn hash(body: &str) -> [u8; 32] {
        request_hash(&parse(body.as_bytes()).unwrap())
    }

    #[test]
    fn order_and_spaces_do_not_make_another_request() {
        let id = "01900000-0000-7000-8000-000000000000";
        let one = hash(&format!(r#"{{"script_id": "{id}", "event": {{"a": 1, "b": [2]}}}}"#));
        let same = hash(&format!(r#"{{"event":{{"b":[2],"a":1}},"script_id":"{id}","context":{{}}}}"#));
        let other = hash(&format!(r#"{{"script_id": "{id}", "context": {{"a": 1, "b": [2]}}}}"#));
        assert_eq!(one, same);
        assert_ne!(one, other);
    }
}
