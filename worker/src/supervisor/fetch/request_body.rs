//! Body of a script's request: attached to the request, or kept by the sandbox until there is memory for it.

use bytes::Bytes;
use sandbox_protocol::FetchRequest;
use std::future::pending;
use tokio::sync::{mpsc, oneshot};

/// Request of a fetch for its body.
pub(crate) struct BodyRequest {
    /// Id of the fetch.
    pub(crate) id: u32,
    /// Length of the body, in bytes, that the sandbox has stated.
    pub(crate) bytes: u32,
    pub(crate) reply: oneshot::Sender<Bytes>,
}

/// Body that is still in the sandbox's memory.
pub(crate) struct KeptBody {
    pub(crate) id: u32,
    pub(crate) bytes: u32,
    /// Takes the request to the supervisor of the run.
    pub(crate) requests: mpsc::UnboundedSender<BodyRequest>,
}

impl KeptBody {
    /// Waits for the body. Waits forever if the run has ended, which also ends the fetch.
    async fn receive(self) -> Bytes {
        let (reply, body) = oneshot::channel();
        let _ = self.requests.send(BodyRequest { id: self.id, bytes: self.bytes, reply });
        match body.await {
            Ok(body) => body,
            Err(_run_has_ended) => pending().await,
        }
    }
}

/// Body of a request.
pub(crate) enum RequestBody {
    Attached(Bytes),
    Kept(KeptBody),
}

impl RequestBody {
    /// Returns the length in bytes.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Attached(body) => body.len(),
            Self::Kept(kept) => usize::try_from(kept.bytes).unwrap_or(usize::MAX),
        }
    }

    /// Waits for the bytes.
    pub(super) async fn receive(self) -> Bytes {
        match self {
            Self::Attached(body) => body,
            Self::Kept(kept) => kept.receive().await,
        }
    }
}

/// Request of a script, with its body.
pub struct ScriptRequest {
    pub(super) request: FetchRequest,
    pub(super) body: Option<RequestBody>,
}

impl ScriptRequest {
    pub(crate) const fn new(request: FetchRequest, body: Option<RequestBody>) -> Self {
        Self { request, body }
    }

    /// Makes a request whose body is attached.
    pub fn with_body(request: FetchRequest, body: impl Into<Bytes>) -> Self {
        Self { request, body: Some(RequestBody::Attached(body.into())) }
    }
}

impl From<FetchRequest> for ScriptRequest {
    fn from(request: FetchRequest) -> Self {
        Self { request, body: None }
    }
}
