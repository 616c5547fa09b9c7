//! `GET /types/`: TypeScript declarations of a script's globals, for the editor.

use super::{
    Resource,
    auth::{Authorized, Read},
    error::ApiError,
    extract::query::{NoQuery, Query},
    openapi::responses::ErrorResponses,
    state::AppState,
};
use crate::app::types::types;
use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::get,
};

pub(super) fn router() -> Router<AppState> {
    Router::new().resource("/types", get(read))
}

/// Read the types for the editor
///
/// A TypeScript declaration file: the globals of a script, the Plane SDK and the workspace's functions.
#[utoipa::path(get, path = "/types/", tag = "Scripts",
    params(("If-None-Match" = Option<String>, Header, description = "An `ETag` of an earlier answer")),
    responses((status = 200, description = "A `.d.ts` file", body = String, content_type = "application/typescript"),
        (status = 304, description = "Unchanged"), ErrorResponses))]
pub(crate) async fn read(
    State(state): State<AppState>,
    caller: Authorized<Read>,
    Query(NoQuery): Query<NoQuery>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let memory = state.answers.reserve(caller.workspace_id).await?;
    let pool = state.lists.acquire(caller.workspace_id).await?;
    let types = types(&state.types, &pool, caller.workspace_id).await?;
    if types.tag.is_known(&headers) {
        return Ok((StatusCode::NOT_MODIFIED, [types.tag.header()]).into_response());
    }
    let file = memory.answer("application/typescript; charset=utf-8", types.file());
    Ok(([types.tag.header()], file).into_response())
}
