//! Reception of HTTP request bodies, for the api and the worker.
//!
//! Invariant: at most the limit of a body is kept in memory, and no body is received for longer than [`TIMEOUT`].

use futures_util::{Stream, StreamExt as _};
use std::{pin::pin, time::Duration};

/// Time limit of receiving a body.
pub const TIMEOUT: Duration = Duration::from_secs(20);
/// Maximum number of bytes beyond the limit of a body that are read and discarded. A connection closed while the client
/// still sends is reset, and the client never sees the 413 (RFC 9112 section 9.6).
const MAX_DISCARDED_BYTES: usize = 16 << 20;

/// Reason why a body is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    #[error("The body is larger than {limit} bytes.")]
    TooLarge { limit: usize },
    #[error("The body did not arrive within {} s.", TIMEOUT.as_secs())]
    Timeout,
    #[error("The body ended before it was whole.")]
    Incomplete,
    #[error("The body must be sent as application/json.")]
    NotJson,
    #[error("The body must be sent without a Content-Encoding.")]
    Encoded,
}

impl BodyError {
    /// Returns the stable error code for programs.
    pub fn code(self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "payload_too_large",
            Self::Timeout => "body_timeout",
            Self::Incomplete => "incomplete_body",
            Self::NotJson => "unsupported_media_type",
            Self::Encoded => "unsupported_content_encoding",
        }
    }

    /// Returns the status of the response.
    pub fn status(self) -> u16 {
        match self {
            Self::TooLarge { .. } => 413,
            Self::Timeout => 408,
            Self::Incomplete => 400,
            Self::NotJson | Self::Encoded => 415,
        }
    }
}

/// Checks that the `Content-Type` is JSON. Ignores its parameters.
pub fn require_json(content_type: Option<&str>) -> Result<(), BodyError> {
    let essence = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") { Ok(()) } else { Err(BodyError::NotJson) }
}

/// Value of the header `Accept-Encoding` of a response to [`BodyError::Encoded`] (RFC 9110 section 12.5.3).
pub const ACCEPTED_ENCODING: &str = "identity";

/// Checks that no `Content-Encoding` has to be undone: a small body could become a large one.
pub fn require_identity<'v>(mut content_encodings: impl Iterator<Item = &'v [u8]>) -> Result<(), BodyError> {
    let is_identity = |value: &[u8]| value.trim_ascii().eq_ignore_ascii_case(ACCEPTED_ENCODING.as_bytes());
    if content_encodings.all(is_identity) { Ok(()) } else { Err(BodyError::Encoded) }
}

/// Receives a body of at most `limit` bytes. `content_length` is the value of the header, if any.
pub async fn receive<B: AsRef<[u8]>, E>(
    chunks: impl Stream<Item = Result<B, E>>,
    content_length: Option<&str>,
    limit: usize,
) -> Result<Vec<u8>, BodyError> {
    within(TIMEOUT, collect(chunks, content_length, limit)).await
}

async fn within<T>(
    time_limit: Duration,
    receive: impl Future<Output = Result<T, BodyError>>,
) -> Result<T, BodyError> {
    tokio::time::timeout(time_limit, receive).await.unwrap_or(Err(BodyError::Timeout))
}

async fn collect<B: AsRef<[u8]>, E>(
    chunks: impl Stream<Item = Result<B, E>>,
    content_length: Option<&str>,
    limit: usize,
) -> Result<Vec<u8>, BodyError> {
    let too_large = BodyError::TooLarge { limit };
    let announced = content_length.and_then(|text| text.parse().ok()).unwrap_or(0);
    if announced > limit + MAX_DISCARDED_BYTES {
        return Err(too_large);
    }
    let mut chunks = pin!(chunks);
    let mut received = Vec::with_capacity(announced.min(limit));
    let mut length = 0;
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| BodyError::Incomplete)?;
        length += chunk.as_ref().len();
        if length > limit + MAX_DISCARDED_BYTES {
            return Err(too_large);
        }
        if length <= limit {
            received.extend_from_slice(chunk.as_ref());
        }
    }
    if length > limit { Err(too_large) } else { Ok(received) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;
    use std::convert::Infallible;

    fn chunks<const N: usize>(
        texts: [&'static str; N],
    ) -> impl Stream<Item = Result<&'static str, Infallible>> {
        stream::iter(texts.map(Ok))
    }

    #[tokio::test]
    async fn a_body_one_byte_over_the_limit_is_refused() {
        assert_eq!(receive(chunks(["ab", "cd"]), None, 4).await, Ok(b"abcd".to_vec()));
        assert_eq!(receive(chunks(["ab", "cd", "e"]), None, 4).await, Err(BodyError::TooLarge { limit: 4 }));
    }

    #[tokio::test]
    async fn a_content_length_far_over_the_limit_is_refused_unread() {
        let never = stream::pending::<Result<&str, Infallible>>();
        let announced = (4 + MAX_DISCARDED_BYTES + 1).to_string();
        assert_eq!(receive(never, Some(&announced), 4).await, Err(BodyError::TooLarge { limit: 4 }));
    }

    #[tokio::test]
    async fn a_body_that_does_not_arrive_in_time_is_refused() {
        let begun = chunks(["{"]).chain(stream::pending());
        let received = within(Duration::from_millis(20), collect(begun, None, 4)).await;
        assert_eq!(received, Err(BodyError::Timeout));
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_is_incomplete() {
        let broken = stream::iter([Ok("{"), Err("reset")]);
        assert_eq!(receive(broken, Some("2"), 4).await, Err(BodyError::Incomplete));
    }

    #[test]
    fn a_body_with_any_content_encoding_is_refused() {
        for (sent, is_accepted) in [
            ("", false),
            ("identity", true),
            (" Identity ", true),
            ("gzip", false),
            ("identity, gzip", false),
        ] {
            assert_eq!(require_identity([sent.as_bytes()].into_iter()).is_ok(), is_accepted, "{sent:?}");
        }
        assert_eq!(require_identity(std::iter::empty()), Ok(()));
        assert_eq!(require_identity([&b"identity"[..], &b"br"[..]].into_iter()), Err(BodyError::Encoded));
    }

    #[test]
    fn only_the_media_type_decides_whether_a_body_is_json() {
        for sent in ["application/json", "Application/JSON ; charset=utf-8"] {
            assert_eq!(require_json(Some(sent)), Ok(()), "{sent}");
        }
        for sent in [None, Some(""), Some("text/plain"), Some("application/jsonp")] {
            assert_eq!(require_json(sent), Err(BodyError::NotJson), "{sent:?}");
        }
    }
}
