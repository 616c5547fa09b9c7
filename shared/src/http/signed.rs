//! Reception of signed requests, for the api and the worker.
//!
//! The order of the checks matters: form and age of the headers, declared length, body, signature. The caller checks
//! the nonce last, so that unsigned requests can't fill the table of nonces.

use super::{
    BodyBudget, BodyOwner, PeerAddress,
    body::{self, BodyError},
};
use crate::signing::{
    NONCE_HEADER, SIGNATURE_HEADER, SignatureError, SignedHeaders, SigningKeys, TIMESTAMP_HEADER,
    USER_HEADER, WORKSPACE_HEADER,
};
use axum::{
    body::Body,
    http::{HeaderMap, Method, header},
};

/// Reason why a request is refused before its nonce is checked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SignedError {
    #[error(transparent)]
    Signature(#[from] SignatureError),
    #[error(transparent)]
    Body(#[from] BodyError),
}

/// Server's part of receiving signed requests.
#[derive(Clone, Copy, Debug)]
pub struct SignedReceiver<'a> {
    pub keys: &'a SigningKeys,
    pub budget: &'a BodyBudget,
    /// Maximum number of bytes of a body.
    pub max_body_bytes: usize,
}

impl SignedReceiver<'_> {
    /// Receives the body of a request and verifies its signature. The caller checks the nonce.
    ///
    /// `path_and_query` is that of the request line. The body counts against the part of its peer in the budget.
    pub async fn receive<'h>(
        &self,
        method: &Method,
        path_and_query: &str,
        headers: &'h HeaderMap,
        (peer, body): (PeerAddress, Body),
    ) -> Result<(SignedHeaders<'h>, Vec<u8>), SignedError> {
        let signed = read_headers(headers)?;
        signed.check(method.as_str(), path_and_query, now_unix())?;
        let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
        // The workspace is the client's word until the signature is verified.
        let budget = (self.budget, BodyOwner::Peer(peer.0));
        let body = body::receive(body.into_data_stream(), length, self.max_body_bytes, budget).await?;
        let parts = signed.covering(method.as_str(), path_and_query, &body);
        self.keys.verify(&parts, signed.signature, now_unix())?;
        Ok((signed, body))
    }
}

fn now_unix() -> i64 {
    chrono::Utc::now().timestamp()
}

fn read_headers(headers: &HeaderMap) -> Result<SignedHeaders<'_>, SignatureError> {
    // With two values of one header, client and server could use different ones.
    for header in [TIMESTAMP_HEADER, NONCE_HEADER, WORKSPACE_HEADER, USER_HEADER, SIGNATURE_HEADER] {
        if headers.get_all(header).iter().nth(1).is_some() {
            return Err(SignatureError::Malformed { header, rule: "must be sent once" });
        }
    }
    SignedHeaders::read(|name| headers.get(name)?.to_str().ok())
}
