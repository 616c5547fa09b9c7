//! Lets signed requests in, and nothing else.
//!
//! Order matters: form, body, signature, nonce. A nonce is written only once the signature holds, so that strangers
//! can't fill the table.

use super::{ServerState, error::HttpError};
use axum::{
    body::{Body, Bytes},
    extract::{FromRequest, Request},
    http::{HeaderMap, StatusCode, header},
};
use futures_util::StreamExt;
use shared::{
    fields::{self, ReadFields},
    signing::{
        NONCE_HEADER, SIGNATURE_HEADER, SignatureError, SignedHeaders, TIMESTAMP_HEADER, USER_HEADER,
        WORKSPACE_HEADER,
    },
};
use std::{sync::Arc, time::Duration};

/// Largest request body: code of 256 KiB may take six bytes per byte when escaped; functions and input come on top.
pub const MAX_BODY_BYTES: usize = 4 * 1024 * 1024;
/// A client that takes longer to send a body is not waited for.
const BODY_TIMEOUT: Duration = Duration::from_secs(20);

/// A signed request's JSON body, and the workspace it was signed for.
#[derive(Debug)]
pub(super) struct Signed<T> {
    pub(super) workspace_slug: String,
    pub(super) body: T,
}

impl<T: ReadFields> FromRequest<Arc<ServerState>> for Signed<T> {
    type Rejection = HttpError;

    async fn from_request(request: Request, state: &Arc<ServerState>) -> Result<Self, HttpError> {
        let (parts, body) = request.into_parts();
        let headers = read_headers(&parts.headers)?;
        let body = read_body(&parts.headers, body).await?;
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
        require_json(&parts.headers)?;
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

async fn read_body(headers: &HeaderMap, body: Body) -> Result<Bytes, HttpError> {
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if announced.is_some_and(|length: usize| length > MAX_BODY_BYTES) {
        return Err(too_large());
    }
    let receive = async {
        let mut stream = body.into_data_stream();
        let mut received = Vec::with_capacity(announced.unwrap_or(0));
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(|_| {
                let detail = "The body ended before it was whole.";
                HttpError::refused(StatusCode::BAD_REQUEST, "incomplete_body", detail)
            })?;
            if received.len() + chunk.len() > MAX_BODY_BYTES {
                return Err(too_large());
            }
            received.extend_from_slice(&chunk);
        }
        Ok(Bytes::from(received))
    };
    tokio::time::timeout(BODY_TIMEOUT, receive).await.unwrap_or_else(|_| {
        let detail = format!("The body did not arrive within {} s.", BODY_TIMEOUT.as_secs());
        Err(HttpError::refused(StatusCode::REQUEST_TIMEOUT, "body_timeout", detail))
    })
}

fn too_large() -> HttpError {
    let detail = format!("The body is larger than {MAX_BODY_BYTES} bytes.");
    HttpError::refused(StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large", detail)
}

fn require_json(headers: &HeaderMap) -> Result<(), HttpError> {
    let content_type =
        headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    let detail = "The body must be sent as application/json.";
    Err(HttpError::refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail))
}
