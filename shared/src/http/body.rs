//! Reception of HTTP request bodies, for the api and the worker.
//!
//! Invariants:
//! - At most the limit of a body is kept in memory, and no body is received for longer than [`TIMEOUT`].
//! - Memory is taken as bytes arrive, whatever length the client declares, and from a [`BodyBudget`] of the process.

use super::body_budget::{BodyBudget, BodyOwner, Share};
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
    #[error("Too many large request bodies arrive at once; try again shortly.")]
    OverBudget,
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
            Self::OverBudget => "unavailable",
        }
    }

    /// Returns the status of the response.
    pub fn status(self) -> u16 {
        match self {
            Self::TooLarge { .. } => 413,
            Self::Timeout => 408,
            Self::Incomplete => 400,
            Self::NotJson | Self::Encoded => 415,
            Self::OverBudget => 503,
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

/// Receives a body of at most `limit` bytes within the owner's part of the budget. `content_length` is the value of the
/// header, if any.
pub async fn receive<B: AsRef<[u8]>, E>(
    chunks: impl Stream<Item = Result<B, E>>,
    content_length: Option<&str>,
    limit: usize,
    (budget, owner): (&BodyBudget, BodyOwner),
) -> Result<Vec<u8>, BodyError> {
    within(TIMEOUT, collect(chunks, content_length, limit, (budget, owner))).await
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
    (budget, owner): (&BodyBudget, BodyOwner),
) -> Result<Vec<u8>, BodyError> {
    let too_large = BodyError::TooLarge { limit };
    let announced = content_length.and_then(|text| text.parse().ok()).unwrap_or(0);
    if announced > limit + MAX_DISCARDED_BYTES {
        return Err(too_large);
    }
    let mut chunks = pin!(chunks);
    let mut received =
        if announced > limit { Err(too_large) } else { Ok(Growing::new(limit, budget.share(owner))) };
    let mut length = 0;
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| BodyError::Incomplete)?;
        length += chunk.as_ref().len();
        if length > limit + MAX_DISCARDED_BYTES {
            return Err(too_large);
        }
        // The bytes of a refused body are freed at once, and those that follow are discarded.
        received = received.and_then(|received| received.with(chunk.as_ref()));
    }
    received.map(|received| received.bytes)
}

/// Part of a body that has arrived.
#[derive(Debug)]
struct Growing<'a> {
    bytes: Vec<u8>,
    limit: usize,
    /// Share of the budget for the capacity of `bytes`.
    share: Share<'a>,
}

impl<'a> Growing<'a> {
    fn new(limit: usize, share: Share<'a>) -> Self {
        Self { bytes: Vec::new(), limit, share }
    }

    /// Appends a chunk. The capacity doubles, up to the limit of the body, so that few bytes are copied.
    fn with(mut self, chunk: &[u8]) -> Result<Self, BodyError> {
        let length = self.bytes.len() + chunk.len();
        if length > self.limit {
            return Err(BodyError::TooLarge { limit: self.limit });
        }
        if length > self.bytes.capacity() {
            let capacity = (2 * self.bytes.capacity()).clamp(length, self.limit);
            self.share.grow_to(capacity)?;
            self.bytes.reserve_exact(capacity - self.bytes.len());
        }
        self.bytes.extend_from_slice(chunk);
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;
    use std::{convert::Infallible, net::Ipv4Addr};

    const OWNER: BodyOwner = BodyOwner::Peer(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST));
    const OTHER: BodyOwner = BodyOwner::Workspace(uuid::Uuid::nil());

    fn chunks<const N: usize>(
        texts: [&'static str; N],
    ) -> impl Stream<Item = Result<&'static str, Infallible>> {
        stream::iter(texts.map(Ok))
    }

    #[tokio::test]
    async fn a_body_one_byte_over_the_limit_is_refused() {
        let (budget, too_large) = (BodyBudget::default(), Err(BodyError::TooLarge { limit: 4 }));
        assert_eq!(receive(chunks(["ab", "cd"]), None, 4, (&budget, OWNER)).await, Ok(b"abcd".to_vec()));
        assert_eq!(receive(chunks(["ab", "cd", "e"]), None, 4, (&budget, OWNER)).await, too_large);
    }

    #[tokio::test]
    async fn a_content_length_far_over_the_limit_is_refused_unread() {
        let never = stream::pending::<Result<&str, Infallible>>();
        let announced = (4 + MAX_DISCARDED_BYTES + 1).to_string();
        let refused = receive(never, Some(&announced), 4, (&BodyBudget::default(), OWNER)).await;
        assert_eq!(refused, Err(BodyError::TooLarge { limit: 4 }));
    }

    #[tokio::test]
    async fn a_body_that_does_not_arrive_in_time_is_refused() {
        let begun = chunks(["{"]).chain(stream::pending());
        let received =
            within(Duration::from_millis(20), collect(begun, None, 4, (&BodyBudget::default(), OWNER))).await;
        assert_eq!(received, Err(BodyError::Timeout));
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_is_incomplete() {
        let broken = stream::iter([Ok("{"), Err("reset")]);
        let refused = receive(broken, Some("2"), 4, (&BodyBudget::default(), OWNER)).await;
        assert_eq!(refused, Err(BodyError::Incomplete));
    }

    #[test]
    fn a_declared_length_takes_no_memory() {
        let budget = BodyBudget::default();
        let mut receiving = pin!(collect(
            stream::iter([Ok::<_, Infallible>("{")]).chain(stream::pending()),
            Some("2000000"),
            2_000_000,
            (&budget, OWNER)
        ));
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(receiving.as_mut().poll(&mut cx).is_pending());
        assert_eq!(budget.free(), BodyBudget::default().free());
        let growing = Growing::new(2_000_000, budget.share(OWNER)).with(b"{").unwrap();
        assert_eq!(growing.bytes.capacity(), 1);
    }

    #[test]
    fn the_capacity_of_a_body_never_exceeds_its_limit() {
        let budget = BodyBudget::default();
        let mut growing = Growing::new(100_000, budget.share(OWNER));
        for _ in 0..100 {
            growing = growing.with(&[b'x'; 1000]).unwrap();
        }
        assert_eq!(growing.bytes.capacity(), 100_000);
        assert_eq!(growing.with(b"x").unwrap_err(), BodyError::TooLarge { limit: 100_000 });
        assert_eq!(budget.free(), BodyBudget::default().free(), "a refused body gives its share back");
    }

    #[tokio::test]
    async fn many_bodies_at_once_stay_within_the_budget() {
        const BODY: usize = 100_000;
        let budget = BodyBudget::of(6 * BODY);
        let free = budget.free();
        let body = |owner| Growing::new(BODY, budget.share(owner)).with(&vec![b'x'; BODY]);
        let held: Vec<_> = (0..10).map(|_| body(OWNER)).collect();
        assert_eq!(held.iter().filter(|body| body.is_ok()).count(), 3, "half of the budget");
        let large = stream::iter([Ok::<_, Infallible>(vec![b'x'; BODY])]);
        let refused = receive(large.clone(), None, BODY, (&budget, OWNER)).await;
        assert_eq!(refused, Err(BodyError::OverBudget));
        assert_eq!(receive(chunks(["{}"]), None, BODY, (&budget, OWNER)).await, Ok(b"{}".to_vec()));
        let other = receive(large.clone(), None, BODY, (&budget, OTHER)).await;
        assert_eq!(other.map(|body| body.len()), Ok(BODY), "the other half is left to others");
        drop(held);
        assert_eq!(receive(large, None, BODY, (&budget, OWNER)).await.map(|body| body.len()), Ok(BODY));
        assert_eq!(budget.free(), free);
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
