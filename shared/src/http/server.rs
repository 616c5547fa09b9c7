//! HTTP/1.1 server of the api and the worker.
//!
//! Invariants:
//! - A client that sends its request slowly, or none, holds a connection no longer than the limits of time. It keeps no
//!   other client out, as the table of connections says.
//! - The server holds at most [`ServerLimits::connections`] connections and one that it is about to accept or close.
//!
//! HTTP/2 is left to the proxy in front, which speaks it with browsers.

use super::{
    connections::{Connections, OpenConnection},
    write_timeout::WriteTimeout,
};
use crate::process;
use axum::{Router, body::Body};
use hyper::{
    Request, Response,
    body::{Body as _, Bytes, Frame, Incoming, SizeHint},
    http::Extensions,
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{
    io,
    net::{IpAddr, Ipv4Addr},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;

/// Limits the bytes of a request's head. Paths, signatures and cookies of proxies take less than a quarter of it.
pub const MAX_HEAD_BYTES: usize = 32 * 1024;
/// Limits the bytes that a connection buffers of a request, and of a response.
const MAX_BUFFER_BYTES: usize = 2 * MAX_HEAD_BYTES;
/// Milliseconds between two attempts to accept while the process has no descriptor left: other connections must end
/// first.
const ACCEPT_RETRY_PAUSE: Duration = Duration::from_millis(250);

/// Limits of one server.
#[derive(Clone, Copy, Debug)]
pub struct ServerLimits {
    /// Maximum number of open connections.
    pub connections: usize,
    /// Longest time, in seconds, from the start of a connection to the whole head of its first request.
    pub head_timeout: Duration,
    /// Longest time, in seconds, from the end of a response to the whole head of the next request. It is above the 60 s
    /// after which usual load balancers close an idle connection, so that the load balancer closes it first.
    pub keep_alive: Duration,
    /// Longest time, in seconds, for which a client may take no byte of a response.
    pub write_timeout: Duration,
}

impl ServerLimits {
    /// Returns the limits of a server with at most `connections` connections, and with at most half of the descriptors
    /// of the process: the other half is for the connections that the process itself opens.
    pub fn for_process(connections: usize) -> Self {
        let half = process::descriptor_limit().map_or(usize::MAX, |limit| limit / 2);
        Self::with_connections(connections.min(half))
    }

    /// Returns the limits of a server with at most `connections` connections.
    pub const fn with_connections(connections: usize) -> Self {
        Self {
            connections,
            head_timeout: Duration::from_secs(20),
            keep_alive: Duration::from_secs(75),
            write_timeout: Duration::from_mins(1),
        }
    }
}

/// Address that counts as the client's, as the server puts it into the extensions of each request. All addresses of an
/// IPv6 network of 64 bits are one peer, and so are all clients behind a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerAddress(pub IpAddr);

impl PeerAddress {
    /// Returns the address of a request's client. Requests that no server of this module received have none, and count
    /// as one peer.
    pub fn of(extensions: &Extensions) -> Self {
        extensions.get().copied().unwrap_or(Self(IpAddr::V4(Ipv4Addr::UNSPECIFIED)))
    }
}

/// Serves `app` until `stopping`. Then accepts no new connection, and returns when the responses in progress are sent.
pub async fn serve(listener: TcpListener, app: Router, limits: ServerLimits, stopping: CancellationToken) {
    let connections = Connections::new(limits.connections);
    let tasks = TaskTracker::new();
    while let Some(accepted) = stopping.run_until_cancelled(accept(&listener, &connections)).await {
        if let Some((stream, open)) = accepted {
            tasks.spawn(serve_connection(stream, open, app.clone(), limits, stopping.clone()));
        }
    }
    drop(listener);
    tasks.close();
    tasks.wait().await;
}

/// Accepts the next connection. Returns `None` if that failed or the connection is refused, which closes it.
async fn accept(
    listener: &TcpListener,
    connections: &Arc<Connections>,
) -> Option<(TcpStream, OpenConnection)> {
    match listener.accept().await {
        Ok((stream, peer)) => {
            let open = connections.admit(peer.ip()).await;
            if open.is_none() {
                tracing::debug!("an HTTP connection was refused: the server has as many as it may have");
            }
            Some((stream, open?))
        }
        Err(error) if is_client_disconnect(&error) => None,
        Err(error) => {
            tracing::warn!(%error, "can't accept HTTP connections");
            connections.close_longest_waiting();
            tokio::time::sleep(ACCEPT_RETRY_PAUSE).await;
            None
        }
    }
}

/// Answers the requests of one connection. An error means that the client has gone or was too slow.
async fn serve_connection(
    stream: TcpStream,
    open: OpenConnection,
    app: Router,
    limits: ServerLimits,
    stopping: CancellationToken,
) {
    // Events of a stream are small, and are sent without delay.
    let _ = stream.set_nodelay(true);
    let open = Arc::new(open);
    let of_requests = Arc::clone(&open);
    let service = service_fn(move |request| respond(app.clone(), Arc::clone(&of_requests), request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.keep_alive)
        .max_header_size(MAX_HEAD_BYTES)
        .max_buf_size(MAX_BUFFER_BYTES)
        .serve_connection(TokioIo::new(WriteTimeout::new(stream, limits.write_timeout)), service);
    let mut connection = pin!(connection);
    let mut timeout = pin!(first_head_timeout(&open, limits.head_timeout));
    tokio::select! {
        biased;
        () = open.closing() => return log_closed(),
        () = timeout.as_mut() => return log_closed(),
        result = connection.as_mut() => return log_early_end(result),
        () = stopping.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    tokio::select! {
        biased;
        () = open.closing() => log_closed(),
        () = timeout => log_closed(),
        result = connection => log_early_end(result),
    }
}

/// Ends after `time_limit` if no head of a request has arrived by then, and else never.
async fn first_head_timeout(open: &OpenConnection, time_limit: Duration) {
    tokio::time::sleep(time_limit).await;
    if open.has_asked() {
        std::future::pending::<()>().await;
    }
}

/// Answers one request. Marks the connection as working from the end of the request to the end of the response.
async fn respond(
    app: Router,
    open: Arc<OpenConnection>,
    request: Request<Incoming>,
) -> Result<Response<ResponseBody>, std::convert::Infallible> {
    open.set_asked();
    let until_sent = Responding(Arc::clone(&open));
    if request.body().is_end_stream() {
        open.set_working();
    }
    let peer = PeerAddress(open.peer());
    let mut request = request.map(|body| Body::new(RequestBody { body, open }));
    request.extensions_mut().insert(peer);
    let response = app.oneshot(request).await?;
    Ok(response.map(|body| ResponseBody { body, _until_sent: until_sent }))
}

/// Response in progress. Dropping the value marks that the connection waits for the next request.
#[derive(Debug)]
struct Responding(Arc<OpenConnection>);

impl Drop for Responding {
    fn drop(&mut self) {
        self.0.set_waiting();
    }
}

/// Request body whose end marks the connection as working.
#[derive(Debug)]
struct RequestBody {
    body: Incoming,
    open: Arc<OpenConnection>,
}

impl hyper::body::Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = self.get_mut();
        let frame = Pin::new(&mut this.body).poll_frame(cx);
        if matches!(frame, Poll::Ready(None)) {
            this.open.set_working();
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Response body that is dropped when it is sent.
#[derive(Debug)]
struct ResponseBody {
    body: Body,
    _until_sent: Responding,
}

impl hyper::body::Body for ResponseBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.get_mut().body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn log_early_end(result: hyper::Result<()>) {
    if let Err(error) = result {
        tracing::debug!(%error, "an HTTP connection ended early");
    }
}

fn log_closed() {
    tracing::debug!("an HTTP connection was closed while it waited for its client");
}

/// Tells whether the client closed its connection before it was accepted, which is not an error.
fn is_client_disconnect(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset
    )
}
