//! Extractors of request bodies: JSON within the limits of size and time, read by [`ReadFields`].

use crate::http::{auth::Caller, error::ApiError, state::AppState};
use axum::{
    body::{Body, Bytes},
    extract::{FromRequest, Request},
    http::{HeaderMap, HeaderValue, header, request::Parts},
};
use shared::http::{BodyOwner, PeerAddress, body};

pub(crate) use shared::http::fields::{Fields, ReadFields};

/// Limits the bytes of a request body. Code of 256 KiB may take six bytes per byte when escaped, and the input comes on
/// top.
pub(crate) const MAX_BODY_BYTES: usize = 2 * 1024 * 1024;

/// A request body that was read by [`ReadFields`].
#[derive(Debug)]
pub(crate) struct Payload<T>(pub T);

impl<T: ReadFields> FromRequest<AppState> for Payload<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, ApiError> {
        let (mut parts, body) = request.into_parts();
        require_plain_json(&parts.headers)?;
        let bytes = read_body(&mut parts, body, state).await?;
        parse(&bytes).map(Self)
    }
}

/// A body that may be left out, for actions whose fields are all optional.
#[derive(Debug)]
pub(crate) struct OptionalPayload<T>(pub T);

impl<T: ReadFields> FromRequest<AppState> for OptionalPayload<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, ApiError> {
        let (mut parts, body) = request.into_parts();
        let bytes = read_body(&mut parts, body, state).await?;
        if bytes.is_empty() {
            return parse(b"{}").map(Self);
        }
        require_plain_json(&parts.headers)?;
        parse(&bytes).map(Self)
    }
}

/// Reads `bytes` as one JSON object with the fields of `T`.
pub(crate) fn parse<T: ReadFields>(bytes: &[u8]) -> Result<T, ApiError> {
    Ok(shared::http::fields::parse(bytes)?)
}

/// Body of a signed request, which the check of its signature has received.
#[derive(Clone, Debug)]
pub(crate) struct ReceivedBody(pub Bytes);

/// Takes the body that the check of the signature has received, or receives it within the limits of size and time.
async fn read_body(parts: &mut Parts, body: Body, state: &AppState) -> Result<Bytes, ApiError> {
    if let Some(ReceivedBody(bytes)) = parts.extensions.remove() {
        return Ok(bytes);
    }
    let length = parts.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let owner = parts
        .extensions
        .get::<Caller>()
        .map_or_else(|| BodyOwner::Peer(PeerAddress::of(&parts.extensions).0), Caller::body_owner);
    let chunks = body.into_data_stream();
    Ok(body::receive(chunks, length, MAX_BODY_BYTES, (&state.body_budget, owner)).await?.into())
}

fn require_plain_json(headers: &HeaderMap) -> Result<(), ApiError> {
    body::require_identity(headers.get_all(header::CONTENT_ENCODING).iter().map(HeaderValue::as_bytes))?;
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    Ok(body::require_json(content_type)?)
}
