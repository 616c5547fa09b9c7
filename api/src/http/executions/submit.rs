//! `POST /executions/`.

use super::response;
use crate::{
    app::executions::submit::{IdempotencyKey, ScriptSubmission, SubmitOutcome, existing_execution},
    db,
    http::{
        auth::{Authorized, Execute},
        error::ApiError,
        extract::{
            json::Payload,
            query::{NoQuery, Query},
        },
        openapi::responses::{Conflict, ErrorResponses, NotFound},
        state::AppState,
    },
    model::{
        execution::{Execution, ExecutionRequest},
        idempotency::{self, Asked},
    },
};
use axum::{extract::State, http::HeaderMap, response::Response};
use shared::telemetry::traces::{self, TRACEPARENT};

/// Header whose value identifies an intended execution.
const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// Limits the bytes of an idempotency key.
const MAX_KEY: usize = 255;

/// Execute a script
///
/// Queues the execution, which runs as soon as a worker is free. The same `Idempotency-Key` with the same body returns
/// the first execution; with another body it is rejected (409).
#[utoipa::path(post, path = "/executions/", tag = "Executions", request_body = ExecutionRequest,
    params(("Idempotency-Key" = Option<String>, Header, description = "Unique per intended execution", max_length = 255)),
    responses((status = 202, description = "Queued, or queued before by the same key", body = Execution), NotFound, Conflict, ErrorResponses))]
pub(crate) async fn create(
    State(state): State<AppState>,
    caller: Authorized<Execute>,
    Query(NoQuery): Query<NoQuery>,
    headers: HeaderMap,
    Payload(request): Payload<ExecutionRequest>,
) -> Result<Response, ApiError> {
    let hash = || idempotency::hash(&asked(&request));
    let key = idempotency_key(&headers)?.map(|text| IdempotencyKey { text: text.to_owned(), hash: hash() });
    let mut accept = traces::accept(traceparent(&headers));
    if let Some(IdempotencyKey { text, hash }) = &key
        && let Some(hit) = db::executions::find_key(&state.pool, caller.workspace_id, text, hash).await?
    {
        // First of all checks: a repeated request gets its execution even if the queue is full or the script deleted.
        return response::duplicate(&state, &caller, existing_execution(&hit)?).await;
    }
    let submission = ScriptSubmission {
        deps: state.for_submissions(),
        workspace_id: caller.workspace_id,
        request,
        key,
        traceparent: accept.traceparent(),
    };
    let outcome = submission.submit().await?;
    accept.set_execution_id(outcome.execution_id());
    drop(accept);
    match outcome {
        SubmitOutcome::Created { submission, queued_at } => {
            Ok(response::created(&caller, *submission, queued_at))
        }
        SubmitOutcome::Duplicate(earlier) => response::duplicate(&state, &caller, earlier).await,
    }
}

/// Reads the header `Idempotency-Key`.
fn idempotency_key(headers: &HeaderMap) -> Result<Option<&str>, ApiError> {
    let Some(value) = headers.get(IDEMPOTENCY_KEY) else { return Ok(None) };
    let key = value.to_str().ok().filter(|key| (1..=MAX_KEY).contains(&key.len()));
    key.map(Some).ok_or_else(|| {
        ApiError::field("Idempotency-Key", format!("Must be 1 to {MAX_KEY} visible ASCII characters."))
    })
}

fn asked(request: &ExecutionRequest) -> Asked<'_> {
    let ExecutionRequest { script_id, trigger_type, event, context, variables } = request;
    Asked { script_id: *script_id, trigger_type: *trigger_type, event, context, variables }
}

/// Returns the client's trace, if the header is a valid W3C `traceparent`.
pub(in crate::http) fn traceparent(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(TRACEPARENT)?.to_str().ok()?;
    traces::is_traceparent(text).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::extract::json::parse;

    fn hash(body: &str) -> [u8; 32] {
        idempotency::hash(&asked(&parse(body.as_bytes()).unwrap()))
    }

    #[test]
    fn member_order_and_spaces_do_not_change_the_request_hash() {
        let id = "01900000-0000-7000-8000-000000000000";
        let one = hash(&format!(r#"{{"script_id": "{id}", "event": {{"a": 1, "b": [2]}}}}"#));
        let same = hash(&format!(r#"{{"event":{{"b":[2],"a":1}},"script_id":"{id}","context":{{}}}}"#));
        let other = hash(&format!(r#"{{"script_id": "{id}", "context": {{"a": 1, "b": [2]}}}}"#));
        assert_eq!(one, same);
        assert_ne!(one, other);
    }
}
