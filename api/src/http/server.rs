//! Accepts connections and serves HTTP/1.1 on them.
//!
//! Invariant: a client that sends its request slowly, or none, holds a connection no longer than the head timeout.
//! HTTP/2 is left to the proxy in front, which speaks it with browsers.

use axum::{Router, body::Body, extract::Request};
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use std::{io, pin::pin, time::Duration};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;

/// Longest time, in seconds, from the start of a connection, or the end of an answer on it, to the whole head of a
/// request. It is above the 60 s after which usual load balancers close an idle connection, so that the load balancer
/// closes it first.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(75);
/// Milliseconds between two attempts to accept while the process has no file descriptor left: other connections must
/// end first.
const ACCEPT_RETRY_PAUSE: Duration = Duration::from_millis(250);

/// Serves `app` until `stopping`. Then accepts no new connection, and returns when the answers in progress are sent.
pub async fn serve(listener: TcpListener, app: Router, head_timeout: Duration, stopping: CancellationToken) {
    let connections = TaskTracker::new();
    while let Some(accepted) = stopping.run_until_cancelled(listener.accept()).await {
        match accepted {
            Ok((stream, _)) => {
                connections.spawn(serve_connection(stream, app.clone(), head_timeout, stopping.clone()));
            }
            Err(error) if is_client_disconnect(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "can't accept HTTP connections");
                tokio::time::sleep(ACCEPT_RETRY_PAUSE).await;
            }
        }
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

/// Answers the requests of one connection. An error means that the client has gone or was too slow.
async fn serve_connection(
    stream: TcpStream,
    app: Router,
    head_timeout: Duration,
    stopping: CancellationToken,
) {
    // Events of a stream are small, and are sent without delay.
    let _ = stream.set_nodelay(true);
    let service =
        TowerToHyperService::new(app.map_request(|request: Request<Incoming>| request.map(Body::new)));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head_timeout)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    tokio::select! {
        result = connection.as_mut() => return log_early_end(result),
        () = stopping.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    log_early_end(connection.await);
}

fn log_early_end(result: hyper::Result<()>) {
    if let Err(error) = result {
        tracing::debug!(%error, "an HTTP connection ended early");
    }
}

/// Tells whether the client closed its connection before it was accepted, which is not an error.
fn is_client_disconnect(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset
    )
}
