//! API keys: `X-Api-Key`, stored hashed, bound to one workspace.

use super::{Caller, Scope};
use crate::{error::ApiError, state::AppState, store};
use axum::{
    extract::{Request, State},
    http::HeaderMap,
    middleware::Next,
    response::Response,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use rand::Rng;
use sha2::{Digest, Sha256};
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

const HEADER: &str = "x-api-key";
/// Marks a leaked key as ours for those who scan for secrets.
const MARK: &str = "rctl_";
/// Enough to tell keys apart in a list; the rest keeps over 200 random bits.
const PREFIX_CHARACTERS: usize = 12;
/// How long a key is trusted without asking the database. Revocations are announced to every process; this bounds
/// the time a lost announcement costs.
const TRUST: Duration = Duration::from_secs(5);
const MOST_REMEMBERED: usize = 10_000;

/// SHA-256 of a key.
pub type KeyHash = [u8; 32];

/// A new key: 256 random bits.
#[derive(Debug)]
pub struct NewKey {
    /// Shown once, never stored.
    pub text: String,
    pub prefix: String,
    pub hash: KeyHash,
}

impl NewKey {
    pub fn random() -> Self {
        let mut bytes = [0; 32];
        rand::rng().fill_bytes(&mut bytes);
        let text = format!("{MARK}{}", URL_SAFE_NO_PAD.encode(bytes));
        Self { prefix: text[..PREFIX_CHARACTERS].to_owned(), hash: hash(&text), text }
    }
}

/// What is stored of a key.
pub fn hash(key: &str) -> KeyHash {
    Sha256::digest(key).into()
}

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
    let row = store::api_keys::find(&state.pool, &hash).await?.ok_or_else(invalid)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_known_by_its_prefix_and_found_by_its_hash() {
        let key = NewKey::random();
        assert!(key.text.starts_with(&key.prefix));
        assert_eq!(hash(&key.text), key.hash);
        assert_ne!(NewKey::random().hash, key.hash);
    }
}
