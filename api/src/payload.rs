//! Takes request bodies in: JSON within the limits of size and time, read by [`ReadFields`].

use crate::error::{ApiError, NON_FIELD};
use axum::{
    body::{Body, Bytes},
    extract::{FromRequest, Request},
    http::{HeaderMap, StatusCode, header},
};
use futures_util::StreamExt;
use std::time::Duration;

pub use shared::fields::{Fields, ReadFields};

/// Largest request body. Code of 256 KiB may take six bytes per byte when escaped, and the input comes on top.
pub const MAX_BODY_BYTES: usize = 2 * 1024 * 1024;
/// A client that takes longer to send a body is not kept waiting for.
const BODY_TIMEOUT: Duration = Duration::from_secs(20);

/// A request body that was read by [`ReadFields`].
#[derive(Debug)]
pub struct Payload<T>(pub T);

impl<S: Send + Sync, T: ReadFields> FromRequest<S> for Payload<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        require_json(&parts.headers)?;
        let bytes = read_body(&parts.headers, body).await?;
        parse(&bytes).map(Self)
    }
}

/// A body that may be left out, for actions whose fields are all optional.
#[derive(Debug)]
pub struct OptionalPayload<T>(pub T);

impl<S: Send + Sync, T: ReadFields> FromRequest<S> for OptionalPayload<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let bytes = read_body(&parts.headers, body).await?;
        if bytes.is_empty() {
            return parse(b"{}").map(Self);
        }
        require_json(&parts.headers)?;
        parse(&bytes).map(Self)
    }
}

/// Reads `bytes` as one JSON object with the fields of `T`.
pub fn parse<T: ReadFields>(bytes: &[u8]) -> Result<T, ApiError> {
    Ok(shared::fields::parse(bytes)?)
}

/// How much of a body that is too large is read and thrown away: a connection closed while the client still sends is
/// reset, and the client never sees the 413 (RFC 9112 section 9.6).
const MAX_DISCARDED_BYTES: usize = 16 << 20;

/// Reads a body within the size and time limits.
pub async fn read_body(headers: &HeaderMap, body: Body) -> Result<Bytes, ApiError> {
    read_body_within(BODY_TIMEOUT, headers, body).await
}

async fn read_body_within(limit: Duration, headers: &HeaderMap, body: Body) -> Result<Bytes, ApiError> {
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if announced.is_some_and(|length: usize| length > MAX_BODY_BYTES + MAX_DISCARDED_BYTES) {
        return Err(too_large());
    }
    let receive = async {
        let mut stream = body.into_data_stream();
        let mut received = Vec::with_capacity(announced.unwrap_or(0).min(MAX_BODY_BYTES));
        let mut length = 0;
        while let Some(chunk) = stream.next().await {
            let chunk =
                chunk.map_err(|_| ApiError::field(NON_FIELD, "The body ended before it was whole."))?;
            length += chunk.len();
            if length > MAX_BODY_BYTES + MAX_DISCARDED_BYTES {
                return Err(too_large());
            }
            if length <= MAX_BODY_BYTES {
                received.extend_from_slice(&chunk);
            }
        }
        if length > MAX_BODY_BYTES { Err(too_large()) } else { Ok(Bytes::from(received)) }
    };
    tokio::time::timeout(limit, receive).await.unwrap_or_else(|_| {
        let detail = format!("The body did not arrive within {} s.", limit.as_secs());
        Err(ApiError::refused(StatusCode::REQUEST_TIMEOUT, "body_timeout", detail))
    })
}

fn too_large() -> ApiError {
    let detail = format!("The body is larger than {MAX_BODY_BYTES} bytes.");
    ApiError::refused(StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large", detail)
}

fn require_json(headers: &HeaderMap) -> Result<(), ApiError> {
    let content_type =
        headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    let detail = "The body must be sent as application/json.";
    Err(ApiError::refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::response::IntoResponse;
    use futures_util::stream;
    use std::convert::Infallible;

    #[tokio::test]
    async fn a_body_that_does_not_arrive_is_not_waited_for() {
        let begun = stream::iter([Ok::<_, Infallible>("{")]).chain(stream::pending());
        let limit = Duration::from_millis(20);
        let read = read_body_within(limit, &HeaderMap::new(), Body::from_stream(begun)).await;
        assert_eq!(read.unwrap_err().into_response().status(), StatusCode::REQUEST_TIMEOUT);
    }
}
