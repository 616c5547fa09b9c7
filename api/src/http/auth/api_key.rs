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
use sha2::{Digest, Sha256};
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

const HEADER: &str = "x-api-key";
/// How long a key is trusted without asking the database. Revocations are announced to every process; this bounds
/// the time a lost announcement costs.
const TRUST: Duration = Duration::from_secs(5);
const MOST_REMEMBERED: usize = 10_000;

/// Callers by the hash of their key, for a few seconds.
#[derive(Debug, Default)]
pub struct KeyCache(Mutex<HashMap<KeyHash, (Instant, Caller)>>);

impl KeyCache {
    fn get(&self, hash: &KeyHash) -> Option<Caller> {
        let cached = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        cached.get(hash).filter(|(since, _)| since.elapsed() < TRUST).map(|(_, caller)| caller.clone())
    }

    fn put(&self, hash: KeyHash, caller: Caller) {
        let mut cached = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if cached.len() >= MOST_REMEMBERED {
            cached.clear();
        }
        cached.insert(hash, (Instant::now(), caller));
    }

    /// Forgets every key: one was revoked.
    pub fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// Lets requests with a valid key pass, with their [`Caller`].
pub async fn require(
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
    if let Some(caller) = state.keys.get(&hash) {
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
    state.keys.put(hash, caller.clone());
    Ok(caller)
}
