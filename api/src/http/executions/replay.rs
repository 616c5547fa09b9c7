//! `POST /executions/{id}/replay/`.

use super::{response, submit::traceparent};
use crate::{
    app::executions::replay::Replay,
    http::{
        auth::{Authorized, Execute},
        error::ApiError,
        extract::{
            idempotency_key::IdempotencyKeyHeader,
            json::OptionalPayload,
            query::{NoQuery, PathText, Query, path_id},
        },
        openapi::responses::{Conflict, ErrorResponses, NotFound},
        state::AppState,
    },
    model::{
        execution::{Execution, ReplayRequest},
        idempotency,
    },
};
use axum::{extract::State, http::HeaderMap, response::Response};
use shared::telemetry::traces;

/// Repeat an execution
///
/// Uses the same version and input, except for the fields of the body. Also works while the first execution still runs.
/// The same `Idempotency-Key` with the same body returns the first replay; with another body it is rejected (409).
#[utoipa::path(post, path = "/executions/{id}/replay/", tag = "Executions", request_body = Option<ReplayRequest>,
    params(("id" = Uuid, Path),
        ("Idempotency-Key" = Option<String>, Header, description = "Unique per intended execution", max_length = 255)),
    responses((status = 202, description = "Queued, or queued before by the same key", body = Execution), NotFound, Conflict, ErrorResponses))]
pub(crate) async fn replay(
    State(state): State<AppState>,
    caller: Authorized<Execute>,
    PathText(id): PathText,
    Query(NoQuery): Query<NoQuery>,
    key: IdempotencyKeyHeader,
    headers: HeaderMap,
    OptionalPayload(request): OptionalPayload<ReplayRequest>,
) -> Result<Response, ApiError> {
    let id = path_id(&id, "execution")?;
    let key = key.of_request(|| idempotency::hash_of_replay(id, &request));
    let mut accept = traces::accept(traceparent(&headers));
    if let Some(key) = &key
        && let Some(earlier) = key.find_existing(&state.pool, caller.workspace_id).await?
    {
        return response::duplicate(&state, &caller, earlier).await;
    }
    let replay = Replay {
        workspace_id: caller.workspace_id,
        original: id,
        request,
        key,
        traceparent: accept.traceparent(),
    };
    let outcome = replay.submit(&state.for_runs()).await?;
    accept.set_execution_id(outcome.execution_id());
    drop(accept);
    response::submitted(&state, &caller, outcome).await
}
