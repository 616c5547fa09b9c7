//! `GET /types/`: TypeScript declarations of a script's globals, for the editor.

use super::{
    Resource,
    auth::{Authorized, Read},
    error::ApiError,
    etag::Etag,
    extract::query::{NoQuery, Query},
    openapi::responses::ErrorResponses,
    state::AppState,
};
use crate::{app::type_declarations::declarations, db};
use axum::{
    Router,
    extract::State,
    http::{HeaderMap, header},
    response::Response,
    routing::get,
};
use sha2::{Digest, Sha256};

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
    let pool = state.lists.acquire(caller.workspace_id).await?;
    let functions = db::functions::visible(&pool, caller.workspace_id).await?;
    // Parses the code of every function: some hundred microseconds each.
    let text = tokio::task::spawn_blocking(move || declarations(&functions)).await;
    let text =
        text.map_err(|error| ApiError::Internal(format!("the declarations failed: {error}").into()))?;
    let tag = Etag::of_text(&hex::encode(&Sha256::digest(&text)[..16]));
    let content_type = (header::CONTENT_TYPE, "application/typescript; charset=utf-8");
    Ok(tag.answer(&headers, ([content_type], text)))
}
