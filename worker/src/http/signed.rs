//! Extractor that accepts signed requests only.
//!
//! The order of the checks matters: headers, body, signature, nonce. A nonce is stored only after the signature was verified,
//! so that unsigned requests can't fill the table.

use super::{ServerState, error::HttpError};
use axum::{
    extract::{FromRequest, Request},
    http::{HeaderMap, HeaderName, HeaderValue, header},
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
        let headers = read_headers(&parts.headers)?;
        let length = text(&parts.headers, &header::CONTENT_LENGTH);
        let body = body::receive(content.into_data_stream(), length, MAX_BODY_BYTES).await?;
        let path_and_query = parts.uri.path_and_query().map_or("/", |text| text.as_str());
        let signed = headers.covering(parts.method.as_str(), path_and_query, &body);
        state.keys.verify(&signed, headers.signature, chrono::Utc::now().timestamp())?;
        let fresh = state.nonces.use_once(headers.nonce).await.map_err(|error| {
            tracing::warn!(%error, "the nonce of a signed request could not be checked");
            HttpError::unavailable("nonces_unavailable", "The nonce of this request can't be checked now.")
        })?;
        if !fresh {
            return Err(SignatureError::Replayed.into());
        }
        let encodings = parts.headers.get_all(header::CONTENT_ENCODING);
        body::require_identity(encodings.iter().map(HeaderValue::as_bytes))?;
        body::require_json(text(&parts.headers, &header::CONTENT_TYPE))?;
        Ok(Self { workspace_slug: headers.workspace_slug.to_owned(), body: fields::parse(&body)? })
    }
}

fn read_headers(headers: &HeaderMap) -> Result<SignedHeaders<'_>, SignatureError> {
    // With two values of one header, client and worker could use different ones.
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
