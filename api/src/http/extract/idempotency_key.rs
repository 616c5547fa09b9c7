//! Extractor of the header `Idempotency-Key`, which every request that starts an execution may have.

use crate::{app::executions::idempotency::IdempotencyKey, http::error::ApiError};
use axum::{extract::FromRequestParts, http::request::Parts};

/// Header whose value identifies an intended execution.
const NAME: &str = "idempotency-key";
/// Limits the bytes of an idempotency key.
pub(crate) const MAX_BYTES: usize = 255;

/// The key of a request, if it has one.
#[derive(Debug)]
pub(crate) struct IdempotencyKeyHeader(Option<String>);

impl IdempotencyKeyHeader {
    /// Returns the key with the hash of its request.
    pub(crate) fn of_request(self, hash: impl FnOnce() -> [u8; 32]) -> Option<IdempotencyKey> {
        self.0.map(|text| IdempotencyKey { text, hash: hash() })
    }
}

impl<S: Sync> FromRequestParts<S> for IdempotencyKeyHeader {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let invalid = |rule: String| ApiError::field("Idempotency-Key", rule);
        let mut values = parts.headers.get_all(NAME).iter();
        let Some(value) = values.next() else { return Ok(Self(None)) };
        if values.next().is_some() {
            return Err(invalid("May be given once.".into()));
        }
        let key = value.to_str().ok().filter(|key| (1..=MAX_BYTES).contains(&key.len()));
        let key =
            key.ok_or_else(|| invalid(format!("Must be 1 to {MAX_BYTES} visible ASCII characters.")))?;
        Ok(Self(Some(key.to_owned())))
    }
}
