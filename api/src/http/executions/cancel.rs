//! `POST /executions/{id}/cancel/`.

use crate::{
    app::executions::cancel::{self as use_case, CancelOutcome},
    db,
    http::{
        auth::{Authorized, Execute},
        error::ApiError,
        extract::{
            json::{Fields, OptionalPayload, ReadFields},
            query::{NoQuery, PathText, Query, path_id},
        },
        openapi::responses::{Conflict, ErrorResponses, NotFound},
        state::AppState,
    },
    model::execution::Execution,
};
use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};

/// A body without fields.
#[derive(Debug)]
pub(crate) struct NoFields;

impl ReadFields for NoFields {
    fn read(_: &mut Fields) -> Option<Self> {
        Some(Self)
    }
}

/// Cancel an execution
///
/// A queued execution is cancelled at once (200). A running one is asked to stop (202), and ends as `cancelled` unless
/// it ends otherwise first. A repeated request changes nothing. An execution that has ended otherwise is rejected
/// (409).
#[utoipa::path(post, path = "/executions/{id}/cancel/", tag = "Executions", params(("id" = Uuid, Path)), responses(
    (status = 200, description = "Cancelled", body = Execution),
    (status = 202, description = "Asked to stop", body = Execution), NotFound, Conflict, ErrorResponses))]
pub(crate) async fn cancel(
    State(state): State<AppState>,
    caller: Authorized<Execute>,
    PathText(id): PathText,
    Query(NoQuery): Query<NoQuery>,
    OptionalPayload(NoFields): OptionalPayload<NoFields>,
) -> Result<Response, ApiError> {
    let id = path_id(&id, "execution")?;
    let status = match use_case::cancel(&state.pool, caller.workspace_id, id).await? {
        CancelOutcome::Cancelled => StatusCode::OK,
        CancelOutcome::Requested => StatusCode::ACCEPTED,
    };
    let execution = db::executions::get(&state.pool, caller.workspace_id, id).await?;
    let execution = execution.ok_or_else(|| ApiError::not_found("execution"))?;
    Ok((status, Json(execution)).into_response())
}
