//! API keys: `X-Api-Key`, stored hashed, bound to one workspace.

use super::Caller;
use crate::{
    db,
    http::state::AppState,
    model::{
        api_key::{KeyHash, Scope},
        error::ApiError,
    },
};
use axum::{
    extract::{Request, State},
    http::HeaderMap,
    middleware::Next,
    response::Response,
};
use moka::sync::Cache;
use sha2::{Digest, Sha256};
use std::time::Duration;

const HEADER: &str = "x-api-key";
/// Seconds for which a key is valid without a query. Every process is notified of revocations; this limits how long a
/// revoked key stays valid if the notification is lost.
const CACHE_TTL: Duration = Duration::from_secs(5);
/// Limits the keys in the cache.
const MAX_ENTRIES: u64 = 10_000;

/// Cache of callers by the hash of their key, for a few seconds.
#[derive(Debug)]
pub struct KeyCache(Cache<KeyHash, Caller>);

impl Default for KeyCache {
    fn default() -> Self {
        Self(Cache::builder().max_capacity(MAX_ENTRIES).time_to_live(CACHE_TTL).build())
    }
}

impl KeyCache {
    /// Removes every key; called when one is revoked.
    pub fn clear(&self) {
        self.0.invalidate_all();
    }
}

/// Passes requests with a valid key on, with their [`Caller`].
pub(crate) async fn require(
    State(state): State<AppState>,
    mut request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let caller = authenticate(&state, request.headers()).await?;
    state.rate.admit(caller.workspace_id)?;
    request.extensions_mut().insert(caller);
    Ok(next.run(request).await)
}

async fn authenticate(state: &AppState, headers: &HeaderMap) -> Result<Caller, ApiError> {
    let missing = || ApiError::unauthorized("api_key_missing", "Send an API key as X-Api-Key.");
    let key = headers.get(HEADER).ok_or_else(missing)?;
    let hash: KeyHash = Sha256::digest(key.as_bytes()).into();
    if let Some(caller) = state.keys.0.get(&hash) {
        return Ok(caller);
    }
    let invalid = || ApiError::unauthorized("api_key_invalid", "The API key is unknown or was revoked.");
    let row = db::api_keys::find(&state.pool, &hash).await?.ok_or_else(invalid)?;
    let caller = Caller {
        workspace_id: row.workspace_id,
        workspace_slug: row.workspace_slug.into(),
        actor: Some(format!("api-key:{}", row.prefix).into()),
        scopes: row.scopes.iter().filter_map(|scope| Scope::named(scope)).collect(),
        is_signed: false,
    };
    state.keys.0.insert(hash, caller.clone());
    Ok(caller)
}
