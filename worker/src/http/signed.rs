//! Extractor that accepts signed requests only.
//!
//! A nonce is stored only after the signature was verified, so that unsigned requests can't fill the table.

use super::{ServerState, error::HttpError};
use axum::{
    extract::{FromRequest, Request},
    http::{HeaderValue, header},
};
use shared::{
    http::{
        PeerAddress, body,
        fields::{self, ReadFields},
        signed::{SignedError, SignedReceiver},
    },
    signing::SignatureError,
};
use std::sync::Arc;

/// Limits a request body, in bytes. Code of 256 KiB takes up to six bytes per byte when escaped, and functions and input come on
/// top.
pub const MAX_BODY_BYTES: usize = 4 * 1024 * 1024;

/// JSON body of a signed request, and the workspace that it is signed for.
#[derive(Debug)]
pub(super) struct Signed<T> {
    pub(super) workspace_slug: String,
    pub(super) body: T,
}

impl<T: ReadFields> FromRequest<Arc<ServerState>> for Signed<T> {
    type Rejection = HttpError;

    async fn from_request(request: Request, state: &Arc<ServerState>) -> Result<Self, HttpError> {
        let (parts, content) = request.into_parts();
        let receiver =
            SignedReceiver { keys: &state.keys, budget: &state.body_budget, max_body_bytes: MAX_BODY_BYTES };
        let path_and_query = parts.uri.path_and_query().map_or("/", |text| text.as_str());
        let peer = PeerAddress::of(&parts.extensions);
        let received = receiver.receive(&parts.method, path_and_query, &parts.headers, (peer, content)).await;
        let (headers, body) = received.map_err(|error| match error {
            SignedError::Signature(error) => HttpError::from(error),
            SignedError::Body(error) => HttpError::from(error),
        })?;
        let fresh = state.nonces.use_once(headers.nonce).await.map_err(|error| {
            tracing::warn!(%error, "the nonce of a signed request could not be checked");
            HttpError::unavailable("nonces_unavailable", "The nonce of this request can't be checked now.")
        })?;
        if !fresh {
            return Err(SignatureError::Replayed.into());
        }
        let encodings = parts.headers.get_all(header::CONTENT_ENCODING);
        body::require_identity(encodings.iter().map(HeaderValue::as_bytes))?;
        let content_type = parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        body::require_json(content_type)?;
        Ok(Self { workspace_slug: headers.workspace_slug.to_owned(), body: fields::parse(&body)? })
    }
}
