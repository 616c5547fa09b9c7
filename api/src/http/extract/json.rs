//! Extractors of request bodies: JSON within the limits of size and time, read by [`ReadFields`].

use crate::http::error::ApiError;
use axum::{
    body::Body,
    extract::{FromRequest, Request},
    http::{HeaderMap, HeaderValue, header},
};
use shared::http::body;

pub(crate) use shared::http::fields::{Fields, ReadFields};

/// Limits the bytes of a request body. Code of 256 KiB may take six bytes per byte when escaped, and the input comes on
/// top.
pub(crate) const MAX_BODY_BYTES: usize = 2 * 1024 * 1024;

/// A request body that was read by [`ReadFields`].
#[derive(Debug)]
pub(crate) struct Payload<T>(pub T);

impl<S: Send + Sync, T: ReadFields> FromRequest<S> for Payload<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        require_plain_json(&parts.headers)?;
        let bytes = read_body(&parts.headers, body).await?;
        parse(&bytes).map(Self)
    }
}

/// A body that may be left out, for actions whose fields are all optional.
#[derive(Debug)]
pub(crate) struct OptionalPayload<T>(pub T);

impl<S: Send + Sync, T: ReadFields> FromRequest<S> for OptionalPayload<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let bytes = read_body(&parts.headers, body).await?;
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

/// Reads a body within the limits of size and time.
pub(crate) async fn read_body(headers: &HeaderMap, body: Body) -> Result<Vec<u8>, ApiError> {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    Ok(body::receive(body.into_data_stream(), length, MAX_BODY_BYTES).await?)
}

fn require_plain_json(headers: &HeaderMap) -> Result<(), ApiError> {
    body::require_identity(headers.get_all(header::CONTENT_ENCODING).iter().map(HeaderValue::as_bytes))?;
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    Ok(body::require_json(content_type)?)
}
