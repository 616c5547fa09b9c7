//! Signatures of requests from the web app's backend and workers: HMAC, each request accepted once.

use super::Caller;
use crate::{
    db,
    http::{
        extract::json::{MAX_BODY_BYTES, ReceivedBody},
        state::AppState,
    },
    model::{api_key::Scope, error::ApiError},
};
use axum::{
    body::Body,
    extract::{OriginalUri, Request, State},
    middleware::Next,
    response::Response,
};
use moka::sync::Cache;
use shared::{
    http::{
        PeerAddress,
        signed::{SignedError, SignedReceiver},
    },
    signing::SignatureError,
};
use std::sync::Arc;
use uuid::Uuid;

/// Limits the workspaces in the cache.
const MAX_ENTRIES: u64 = 10_000;

/// Cache of workspace ids by slug. A workspace is never renamed, and keeps its id even when all its rows are erased, so
/// no entry gets stale.
#[derive(Debug)]
pub struct WorkspaceCache(Cache<Arc<str>, Uuid>);

impl Default for WorkspaceCache {
    fn default() -> Self {
        Self(Cache::new(MAX_ENTRIES))
    }
}

/// Passes requests with a valid signature on, with their [`Caller`].
///
/// Receives the body, since the signature covers it, and passes it on as [`ReceivedBody`].
pub(crate) async fn require(
    State(state): State<AppState>,
    OriginalUri(uri): OriginalUri,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let path = uri.path_and_query().map_or(uri.path(), |path| path.as_str());
    let receiver = SignedReceiver {
        keys: &state.signing_keys,
        budget: &state.body_budget,
        max_body_bytes: MAX_BODY_BYTES,
    };
    let peer = PeerAddress::of(&parts.extensions);
    let received = receiver.receive(&parts.method, path, &parts.headers, (peer, body)).await;
    let (headers, body) = received.map_err(|error| match error {
        SignedError::Signature(error) => refused(&error),
        SignedError::Body(error) => error.into(),
    })?;
    // Stored only after the signature is verified: unsigned requests must not fill the table.
    if !db::workspaces::remember_nonce(&state.pool, headers.nonce).await? {
        return Err(refused(&SignatureError::Replayed));
    }
    let (workspace_slug, workspace_id) = workspace(&state, headers.workspace_slug).await?;
    state.rate.admit(workspace_id)?;
    let caller = Caller {
        workspace_id,
        workspace_slug,
        actor: Some(headers.user_id).filter(|user| !user.is_empty()).map(Arc::from),
        scopes: Scope::ALL.to_vec(),
        is_signed: true,
    };
    let mut request = Request::from_parts(parts, Body::empty());
    request.extensions_mut().insert(ReceivedBody(body.into()));
    request.extensions_mut().insert(caller);
    Ok(next.run(request).await)
}

fn refused(error: &SignatureError) -> ApiError {
    ApiError::unauthorized(error.code(), format!("{error}."))
}

/// Returns a workspace's slug and id. Creates the workspace when a signed request first names it.
async fn workspace(state: &AppState, slug: &str) -> Result<(Arc<str>, Uuid), ApiError> {
    if let Some(id) = state.workspaces.0.get(slug) {
        return Ok((slug.into(), id));
    }
    let id = db::workspaces::id_of(&state.pool, slug).await?;
    let slug: Arc<str> = slug.into();
    state.workspaces.0.insert(slug.clone(), id);
    Ok((slug, id))
}
