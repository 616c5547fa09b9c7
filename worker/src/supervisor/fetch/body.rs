//! Bodies of responses, bounded while they arrive.

use super::{Hold, Hop, RunPolicy, SMALL_BYTES, body_memory::BodyMemory, error::Failure};
use crate::outbound::{ClientError, Response};

/// Number of bytes that a compressed body may have beyond the limit of the decompressed one: headers, and content that can't
/// be compressed.
const COMPRESSION_BYTES: usize = 64 * 1024;

/// Reason why a body was not read to its end.
pub(super) enum ReadError {
    TooLarge(usize),
    Broken(ClientError),
}

impl ReadError {
    pub(super) fn or_network(self, hop: &Hop) -> Failure {
        match self {
            Self::TooLarge(limit) => Failure::ResponseBody(limit),
            Self::Broken(error) => Failure::network(hop, &error),
        }
    }
}

/// Reads a response's body, decompressed. Stops at the limit: a small body that decompresses to a large one is never held
/// whole, and a large body that decompresses to nothing is not read on.
pub(super) async fn read(
    response: &mut Response,
    policy: &RunPolicy,
    (memory, hold): (&BodyMemory, &mut Hold),
) -> Result<Vec<u8>, ReadError> {
    let limit = policy.response_bytes;
    let announced = response.content_length().and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
    if announced > limit {
        return Err(ReadError::TooLarge(limit));
    }
    response.limit_wire_bytes(limit.saturating_add(COMPRESSION_BYTES));
    // The announced length is the server's word: no memory is reserved for more than a small body.
    let mut body = Vec::with_capacity(announced.min(SMALL_BYTES));
    while let Some(chunk) = response.chunk().await.map_err(|error| match error {
        ClientError::TooLarge(_) => ReadError::TooLarge(limit),
        broken => ReadError::Broken(broken),
    })? {
        if chunk.len() > limit - body.len() {
            return Err(ReadError::TooLarge(limit));
        }
        if hold.large.is_none() && body.len() + chunk.len() > SMALL_BYTES {
            // The length of a compressed body is unknown until its end.
            let bytes = if announced > 0 { announced } else { limit };
            hold.large = memory.acquire(&policy.workspace, &policy.large_responses, bytes).await;
            // Growth by doubling would take up to three times the memory that was acquired.
            body.reserve_exact(bytes.saturating_sub(body.len()));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
