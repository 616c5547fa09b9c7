//! `POST /executions/{id}/replay/`.

use super::{response, submit::traceparent};
use crate::{
    app::executions::replay::Replay,
    http::{
        auth::{Authorized, Execute},
        error::ApiError,
        extract::{
            json::OptionalPayload,
            query::{NoQuery, PathText, Query, path_id},
        },
        openapi::responses::{Conflict, ErrorResponses, NotFound},
        state::AppState,
    },
    model::execution::{Execution, ReplayRequest},
};
use axum::{extract::State, http::HeaderMap, response::Response};
use shared::telemetry::traces;

/// Repeat an execution
///
/// Uses the same version and input, except for the fields of the body. Also works while the first execution still runs.
#[utoipa::path(post, path = "/executions/{id}/replay/", tag = "Executions", request_body = Option<ReplayRequest>,
    params(("id" = Uuid, Path)),
    responses((status = 202, description = "Queued", body = Execution), NotFound, Conflict, ErrorResponses))]
pub(crate) async fn replay(
    State(state): State<AppState>,
    caller: Authorized<Execute>,
    PathText(id): PathText,
    Query(NoQuery): Query<NoQuery>,
    headers: HeaderMap,
    OptionalPayload(request): OptionalPayload<ReplayRequest>,
) -> Result<Response, ApiError> {
    let id = path_id(&id, "execution")?;
    let mut accept = traces::accept(traceparent(&headers));
    let replay = Replay {
        workspace_id: caller.workspace_id,
        original: id,
        request,
        traceparent: accept.traceparent(),
    };
    let (submission, queued_at) = replay.submit(&state.for_runs()).await?;
    accept.set_execution_id(submission.id);
    Ok(response::created(&caller, submission, queued_at))
}
