//! `/control/plane-token/`: the token with which a workspace's scripts call Plane. Signed requests only.

use super::{
    Resource,
    auth::{Authorized, Caller, Read, Write},
    error::{ApiError, ErrorKind},
    extract::{
        json::{Fields, Payload, ReadFields},
        query::{NoQuery, Query},
    },
    openapi::responses::{ErrorResponses, NotFound},
    state::AppState,
};
use crate::db;
use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Serialize;
use shared::encryption::AssociatedData;
use utoipa::ToSchema;

/// Limits the bytes of a token.
const MAX_TOKEN: usize = 4096;

pub(super) fn router() -> Router<AppState> {
    Router::new().resource("/control/plane-token", get(read).put(set).delete(delete))
}

/// The token with which a workspace's scripts call Plane.
#[derive(Serialize, ToSchema)]
pub(crate) struct PlaneToken {
    #[schema(min_length = 1, max_length = 4096)]
    token: String,
}

impl ReadFields for PlaneToken {
    fn read(fields: &mut Fields) -> Option<Self> {
        let token: String = fields.required("token")?;
        if token.is_empty() || token.len() > MAX_TOKEN || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            let rule = format!("Must be 1 to {MAX_TOKEN} visible ASCII characters.");
            fields.errors.add("token", rule);
            return None;
        }
        Some(Self { token })
    }
}

/// Rejects requests with an API key: the token of the scripts is not for third parties, whatever the scopes of their
/// key.
fn require_signed(caller: &Caller) -> Result<(), ApiError> {
    if caller.is_signed {
        return Ok(());
    }
    Err(ApiError::forbidden("signature_required", "Only signed requests may do this."))
}

fn absent() -> ApiError {
    ApiError::problem(ErrorKind::NotFound, "not_found", "The workspace has no Plane token.")
}

/// Read the Plane token
///
/// Signed requests only: workers read it.
#[utoipa::path(get, path = "/control/plane-token/", tag = "Control", security(("signature" = [])),
    responses((status = 200, body = PlaneToken), NotFound, ErrorResponses))]
pub(crate) async fn read(
    State(state): State<AppState>,
    caller: Authorized<Read>,
    Query(NoQuery): Query<NoQuery>,
) -> Result<Response, ApiError> {
    require_signed(&caller)?;
    let sealed = db::workspaces::plane_token(&state.pool, caller.workspace_id).await?.ok_or_else(absent)?;
    let opened = state
        .keyring
        .open(&sealed, &AssociatedData::plane_token(caller.workspace_id))
        .map_err(|error| ApiError::Internal(format!("can't decrypt a Plane token: {error}").into()))?;
    let token = String::from_utf8(opened)
        .map_err(|_| ApiError::Internal("a decrypted Plane token is not UTF-8".into()))?;
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(PlaneToken { token })).into_response())
}

/// Set the Plane token
///
/// Signed requests only. Encrypted at rest.
#[utoipa::path(put, path = "/control/plane-token/", tag = "Control", security(("signature" = [])), request_body = PlaneToken,
    responses((status = 204, description = "Set"), ErrorResponses))]
pub(crate) async fn set(
    State(state): State<AppState>,
    caller: Authorized<Write>,
    Query(NoQuery): Query<NoQuery>,
    Payload(PlaneToken { token }): Payload<PlaneToken>,
) -> Result<StatusCode, ApiError> {
    require_signed(&caller)?;
    let sealed = state.keyring.seal(token.as_bytes(), &AssociatedData::plane_token(caller.workspace_id));
    db::workspaces::set_plane_token(&state.pool, caller.workspace_id, Some(&sealed)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Delete the Plane token
///
/// Signed requests only. Scripts then call Plane without one.
#[utoipa::path(delete, path = "/control/plane-token/", tag = "Control", security(("signature" = [])),
    responses((status = 204, description = "Deleted"), NotFound, ErrorResponses))]
pub(crate) async fn delete(
    State(state): State<AppState>,
    caller: Authorized<Write>,
    Query(NoQuery): Query<NoQuery>,
) -> Result<StatusCode, ApiError> {
    require_signed(&caller)?;
    db::workspaces::plane_token(&state.pool, caller.workspace_id).await?.ok_or_else(absent)?;
    db::workspaces::set_plane_token(&state.pool, caller.workspace_id, None).await?;
    Ok(StatusCode::NO_CONTENT)
}
