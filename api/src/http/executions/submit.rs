//! `POST /executions/`.

use super::response;
use crate::{
    app::executions::submit::ScriptSubmission,
    http::{
        auth::{Authorized, Execute},
        error::ApiError,
        extract::{
            idempotency_key::IdempotencyKeyHeader,
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
    key: IdempotencyKeyHeader,
    headers: HeaderMap,
    Payload(request): Payload<ExecutionRequest>,
) -> Result<Response, ApiError> {
    let key = key.of_request(|| idempotency::hash(&asked(&request)));
    let mut accept = traces::accept(traceparent(&headers));
    if let Some(key) = &key
        && let Some(earlier) = key.find_existing(&state.pool, caller.workspace_id).await?
    {
        // First of all checks: a repeated request gets its execution even if the queue is full or the script deleted.
        return response::duplicate(&state, &caller, earlier).await;
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
    response::submitted(&state, &caller, outcome).await
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
