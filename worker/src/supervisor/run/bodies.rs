//! Bodies of requests that the sandbox keeps until a fetch has memory for them.
//!
//! Invariant: the sandbox sends a large body only after the supervisor asked for it, and of the length that it stated.

use crate::supervisor::fetch::{BodyRequest, KeptBody, RequestBody, ScriptRequest};
use bytes::Bytes;
use sandbox_protocol::{FetchRequest, MAX_ATTACHED_REQUEST_BYTES};
use std::{collections::HashMap, future::pending};
use tokio::sync::mpsc;

/// Bodies of one run.
pub(super) struct Bodies {
    sender: mpsc::UnboundedSender<BodyRequest>,
    /// Requests of fetches for their bodies. Each fetch sends at most one.
    requests: mpsc::UnboundedReceiver<BodyRequest>,
    /// Requests that the sandbox was sent and has not answered, by the id of the fetch.
    expected: HashMap<u32, BodyRequest>,
}

impl Bodies {
    pub(super) fn new() -> Self {
        let (sender, requests) = mpsc::unbounded_channel();
        Self { sender, requests, expected: HashMap::new() }
    }

    /// Adds the body to a request of the sandbox. `None` if the attached bytes are not what the request states.
    pub(super) fn of_request(
        &self,
        id: u32,
        request: FetchRequest,
        attached: Bytes,
    ) -> Option<ScriptRequest> {
        let body = match request.body_bytes {
            None if attached.is_empty() => None,
            Some(bytes) if usize::try_from(bytes) == Ok(attached.len()) => {
                (attached.len() <= MAX_ATTACHED_REQUEST_BYTES).then_some(())?;
                Some(RequestBody::Attached(attached))
            }
            Some(bytes) if attached.is_empty() => {
                Some(RequestBody::Kept(KeptBody { id, bytes, requests: self.sender.clone() }))
            }
            _ => return None,
        };
        Some(ScriptRequest::new(request, body))
    }

    /// Waits for the next request of a fetch. Cancel-safe.
    pub(super) async fn next_request(&mut self) -> BodyRequest {
        match self.requests.recv().await {
            Some(request) => request,
            // Never happens, since this value has a sender.
            None => pending().await,
        }
    }

    /// Notes that the sandbox was sent this request.
    pub(super) fn expect(&mut self, request: BodyRequest) {
        self.expected.insert(request.id, request);
    }

    /// Returns true while the sandbox may send a body.
    pub(super) fn are_expected(&self) -> bool {
        !self.expected.is_empty()
    }

    /// Hands a body to its fetch. Returns false for one that was not requested, or not of the stated length.
    pub(super) fn deliver(&mut self, id: u32, body: Bytes) -> bool {
        let Some(request) = self.expected.remove(&id) else { return false };
        let is_whole = usize::try_from(request.bytes) == Ok(body.len());
        if is_whole {
            // A fetch that has ended does not take it.
            let _ = request.reply.send(body);
        }
        is_whole
    }

    /// Expects no body of a fetch that the script has aborted.
    pub(super) fn forget(&mut self, id: u32) {
        self.expected.remove(&id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sandbox_protocol::Redirect;
    use tokio::sync::oneshot;

    fn request(body_bytes: Option<u32>) -> FetchRequest {
        FetchRequest {
            method: "POST".to_owned(),
            url: "http://a.test/".to_owned(),
            headers: Vec::new(),
            body_bytes,
            redirect: Redirect::Follow,
            plane: false,
        }
    }

    #[test]
    fn attached_bytes_must_be_those_that_are_stated() {
        let bodies = Bodies::new();
        let large = MAX_ATTACHED_REQUEST_BYTES + 1;
        for (stated, attached, is_accepted) in [
            (None, 0, true),
            (None, 1, false),
            (Some(0), 0, true),
            (Some(5), 5, true),
            (Some(5), 4, false),
            (Some(5), 0, true),
            (Some(u32::try_from(large).unwrap()), large, false),
        ] {
            let made = bodies.of_request(1, request(stated), vec![0; attached].into());
            assert_eq!(made.is_some(), is_accepted, "{stated:?} {attached}");
        }
    }

    #[tokio::test]
    async fn a_body_arrives_once_and_only_if_it_was_requested() {
        let mut bodies = Bodies::new();
        let body = Bytes::from_static(b"large");
        assert!(!bodies.deliver(1, body.clone()), "nothing was requested");
        let (reply, received) = oneshot::channel();
        bodies.expect(BodyRequest { id: 1, bytes: 5, reply });
        assert!(bodies.are_expected());
        assert!(bodies.deliver(1, body.clone()) && !bodies.are_expected());
        assert_eq!(received.await.unwrap(), body);
        assert!(!bodies.deliver(1, body.clone()), "it has arrived");
        let (reply, _received) = oneshot::channel();
        bodies.expect(BodyRequest { id: 2, bytes: 4, reply });
        assert!(!bodies.deliver(2, body), "it is not of the stated length");
    }
}
