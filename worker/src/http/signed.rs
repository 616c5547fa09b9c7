//! Lets signed requests in, and nothing else.
//!
//! Order matters: form, body, signature, nonce. A nonce is written only once the signature holds, so that strangers
//! can't fill the table.

use super::{ServerState, error::HttpError};
use axum::{
    extract::{FromRequest, Request},
    http::{HeaderMap, HeaderName, header},
};
use shared::{
    http::{
        body,
        fields::{self, ReadFields},
    },
    signing::{
        NONCE_HEADER, SIGNATURE_HEADER, SignatureError, SignedHeaders, TIMESTAMP_HEADER, USER_HEADER,
        WORKSPACE_HEADER,
    },
};
use std::sync::Arc;

/// Largest request body: code of 256 KiB may take six bytes per byte when escaped; functions and input come on top.
pub const MAX_BODY_BYTES: usize = 4 * 1024 * 1024;

/// A signed request's JSON body, and the workspace it was signed for.
#[derive(Debug)]
pub(super) struct Signed<T> {
    pub(super) workspace_slug: String,
    pub(super) body: T,
}

impl<T: ReadFields> FromRequest<Arc<ServerState>> for Signed<T> {
    type Rejection = HttpError;

    async fn from_request(request: Request, state: &Arc<ServerState>) -> Result<Self, HttpError> {
        let (parts, content) = request.into_parts();
        let headers = read_headers(&parts.headers)?;
        let length = text(&parts.headers, &header::CONTENT_LENGTH);
        let body = body::receive(content.into_data_stream(), length, MAX_BODY_BYTES).await?;
        let path_and_query = parts.uri.path_and_query().map_or("/", |text| text.as_str());
        let signed = headers.covering(parts.method.as_str(), path_and_query, &body);
        state.keys.verify(&signed, headers.signature, chrono::Utc::now().timestamp())?;
        let fresh = state.nonces.take(headers.nonce).await.map_err(|error| {
            tracing::warn!(%error, "a nonce could not be checked");
            HttpError::unavailable("nonces_unavailable", "Whether this request is new can't be told now.")
        })?;
        if !fresh {
            return Err(SignatureError::Replayed.into());
        }
        body::require_json(text(&parts.headers, &header::CONTENT_TYPE))?;
        Ok(Self { workspace_slug: headers.workspace_slug.to_owned(), body: fields::parse(&body)? })
    }
}

fn read_headers(headers: &HeaderMap) -> Result<SignedHeaders<'_>, SignatureError> {
    // Two values of one header would let the signer and the reader mean different ones.
    for header in [TIMESTAMP_HEADER, NONCE_HEADER, WORKSPACE_HEADER, USER_HEADER, SIGNATURE_HEADER] {
        if headers.get_all(header).iter().nth(1).is_some() {
            return Err(SignatureError::Malformed { header, rule: "must be sent once" });
        }
    }
    SignedHeaders::read(|name| headers.get(name)?.to_str().ok())
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
