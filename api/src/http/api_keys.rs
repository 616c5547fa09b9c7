//! API keys: created, listed by prefix, revoked.

use super::{
    Resource,
    auth::{Authorized, Read, Write},
    error::ApiError,
    extract::{
        json::Payload,
        query::{NoQuery, Page, PageRequest, PageText, Parameters, PathText, Query, ReadQuery, path_id},
    },
    openapi::responses::{ErrorResponses, NotFound},
    state::AppState,
};
use crate::{
    db,
    model::api_key::{ApiKey, ApiKeyInput, CreatedApiKey, NewKey},
};
use axum::{Json, Router, extract::State, http::StatusCode, routing::get};

pub(super) fn router() -> Router<AppState> {
    Router::new()
        .resource("/api-keys", get(list).post(create))
        .resource("/api-keys/{id}", get(read).delete(revoke))
}

pub(crate) struct KeyQuery(PageRequest);

impl ReadQuery for KeyQuery {
    fn read(parameters: &mut Parameters) -> Option<Self> {
        Some(Self(parameters.page()))
    }
}

/// List API keys
///
/// Keys that were not revoked, newest first, by prefix.
#[utoipa::path(get, path = "/api-keys/", tag = "API keys", params(
    ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ("per_page" = Option<i64>, Query, description = "50 if left out", minimum = 1, maximum = 100),
), responses((status = 200, body = Page<ApiKey>), ErrorResponses))]
pub(crate) async fn list(
    State(state): State<AppState>,
    caller: Authorized<Read>,
    Query(KeyQuery(page)): Query<KeyQuery>,
) -> Result<PageText, ApiError> {
    let pool = state.lists.acquire(caller.workspace_id).await?;
    let rows = db::api_keys::list(&pool, caller.workspace_id, page).await?;
    page.page(rows, |key| key.id, |key| key)
}

/// Create an API key
///
/// The answer contains the key, which is not shown again. A caller can't give scopes that it does not have.
#[utoipa::path(post, path = "/api-keys/", tag = "API keys", request_body = ApiKeyInput,
    responses((status = 201, body = CreatedApiKey), ErrorResponses))]
pub(crate) async fn create(
    State(state): State<AppState>,
    caller: Authorized<Write>,
    Query(NoQuery): Query<NoQuery>,
    Payload(input): Payload<ApiKeyInput>,
) -> Result<(StatusCode, Json<CreatedApiKey>), ApiError> {
    let scopes = input.scopes.unwrap_or_else(|| caller.scopes.clone());
    if let Some(missing) = scopes.iter().find(|scope| !caller.scopes.contains(scope)) {
        let detail = format!("You can't give the scope {}, which you don't have.", missing.as_str());
        return Err(ApiError::forbidden("insufficient_scope", detail));
    }
    let key = NewKey::random();
    let api_key = db::api_keys::insert(&state.pool, caller.workspace_id, &input.name, &key, &scopes).await?;
    Ok((StatusCode::CREATED, Json(CreatedApiKey { api_key, key: key.text })))
}

/// Read an API key
#[utoipa::path(get, path = "/api-keys/{id}/", tag = "API keys", params(("id" = uuid::Uuid, Path)),
    responses((status = 200, body = ApiKey), NotFound, ErrorResponses))]
pub(crate) async fn read(
    State(state): State<AppState>,
    caller: Authorized<Read>,
    PathText(id): PathText,
    Query(NoQuery): Query<NoQuery>,
) -> Result<Json<ApiKey>, ApiError> {
    let id = path_id(&id, "API key")?;
    let key = db::api_keys::get(&state.pool, caller.workspace_id, id).await?;
    key.map(Json).ok_or_else(|| ApiError::not_found("API key"))
}

/// Revoke an API key
///
/// Every process rejects it within seconds.
#[utoipa::path(delete, path = "/api-keys/{id}/", tag = "API keys", params(("id" = uuid::Uuid, Path)),
    responses((status = 204, description = "Revoked"), NotFound, ErrorResponses))]
pub(crate) async fn revoke(
    State(state): State<AppState>,
    caller: Authorized<Write>,
    PathText(id): PathText,
    Query(NoQuery): Query<NoQuery>,
) -> Result<StatusCode, ApiError> {
    let id = path_id(&id, "API key")?;
    if !db::api_keys::revoke(&state.pool, caller.workspace_id, id).await? {
        return Err(ApiError::not_found("API key"));
    }
    state.keys.clear();
    Ok(StatusCode::NO_CONTENT)
}
