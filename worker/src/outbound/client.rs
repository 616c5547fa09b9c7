//! Requests, and their responses.

use super::{
    Flood, HEAD_BYTES, HEAD_LINES, RAW_HEAD_BYTES,
    body::{WireBody, WireError},
    connector::{Connector, Resolver},
    interim::InterimHeads,
};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{
    body::{Body as _, Incoming},
    ext::ReasonPhrase,
    http::{self, HeaderMap, StatusCode, Version},
};
use hyper_util::{
    client::legacy,
    rt::{TokioExecutor, TokioTimer},
};
use rustls::ClientConfig;
use std::time::Duration;
use tower::{ServiceExt as _, util::MapResponse};
use tower_http::decompression::{Decompression, DecompressionBody};

/// Limits the time that a connection waits for its next request. Servers close theirs after 15 s (Apache: 5) to 75 s.
const IDLE_TIMEOUT: Duration = Duration::from_secs(15);
/// Limits the connections to one host that wait for their next request.
const MAX_IDLE_PER_HOST: usize = 16;

/// Reason why there is no response, or only a part of it.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("no response: {0}")]
    Request(#[from] legacy::Error),
    #[error(transparent)]
    Flood(#[from] Flood),
    #[error("the response broke off: {0}")]
    Body(#[source] hyper::Error),
    #[error("the body is over {0} bytes on the wire")]
    TooLarge(usize),
    #[error("the response can't be decompressed: {0}")]
    Compression(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// The parts that differ between clients.
pub(crate) struct ClientSettings<R> {
    pub resolver: R,
    pub tls: ClientConfig,
    /// Limits name look-up, TCP and TLS handshake together.
    pub connect_timeout: Duration,
}

type Http<R> = legacy::Client<Connector<R>, Full<Bytes>>;
type WrapBody = fn(http::Response<Incoming>) -> http::Response<WireBody>;

/// A pool of connections. Each connection lives on the runtime that sent the request it was made for.
#[derive(Clone)]
pub(crate) struct Client<R> {
    http: Decompression<MapResponse<Http<R>, WrapBody>>,
}

impl<R: Resolver> Client<R> {
    pub(crate) fn new(settings: ClientSettings<R>) -> Self {
        let connector = Connector::new(settings.resolver, settings.tls, settings.connect_timeout);
        let http = legacy::Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(MAX_IDLE_PER_HOST)
            .http1_max_buf_size(RAW_HEAD_BYTES)
            .http1_max_headers(HEAD_LINES)
            .http2_max_header_list_size(u32::try_from(HEAD_BYTES).unwrap_or(u32::MAX))
            .http2_adaptive_window(true)
            .build(connector);
        Self { http: Decompression::new(http.map_response(WireBody::wrap as WrapBody)) }
    }

    /// Sends a request and waits for the final head. Dropping the future ends the request.
    pub(crate) async fn send(
        &self,
        mut request: http::Request<Full<Bytes>>,
    ) -> Result<Response, ClientError> {
        let interim = InterimHeads::watch(&mut request);
        tokio::select! {
            biased;
            flood = interim.exceeded() => Err(flood.into()),
            sent = self.http.clone().oneshot(request) => Ok(Response { response: sent? }),
        }
    }
}

/// A response whose body is read piece by piece.
pub(crate) struct Response {
    response: http::Response<DecompressionBody<WireBody>>,
}

impl Response {
    pub(crate) fn status(&self) -> StatusCode {
        self.response.status()
    }

    pub(crate) fn version(&self) -> Version {
        self.response.version()
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// Returns the reason phrase, unless it is the status's own.
    pub(crate) fn reason(&self) -> Option<&ReasonPhrase> {
        self.response.extensions().get()
    }

    /// Returns the length of the body, if the server announced it and did not compress the body.
    pub(crate) fn content_length(&self) -> Option<u64> {
        self.response.body().size_hint().exact()
    }

    /// Limits the bytes of the body before they are decompressed.
    pub(crate) fn limit_wire_bytes(&mut self, bytes: usize) {
        self.response.body_mut().get_mut().limit(bytes);
    }

    /// Reads the next piece of the decompressed body. Returns `None` at its end.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, ClientError> {
        loop {
            // A small body may decompress to a large one: this task yields its thread in between.
            tokio::task::coop::consume_budget().await;
            match self.response.body_mut().frame().await {
                None => return Ok(None),
                Some(Ok(frame)) => {
                    // Trailers are dropped: scripts have no way to read them.
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
                Some(Err(error)) => return Err(ClientError::from_body(error)),
            }
        }
    }
}

impl ClientError {
    fn from_body(error: Box<dyn std::error::Error + Send + Sync>) -> Self {
        match error.downcast::<WireError>() {
            Ok(wire) => match *wire {
                WireError::Network(error) => Self::Body(error),
                WireError::TooLarge(limit) => Self::TooLarge(limit),
            },
            Err(other) => Self::Compression(other),
        }
    }
}
