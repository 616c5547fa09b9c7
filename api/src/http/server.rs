//! Accepts connections and serves HTTP/1.1 on them.
//!
//! Invariant: a client that is slow to ask, or has nothing to ask, holds a connection no longer than the head timeout.
//! HTTP/2 is for the proxy in front, which speaks it with browsers.

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

/// Longest time from the start of a connection, or the end of an answer on it, to the whole head of a request. Above
/// the 60 s after which usual load balancers let go of an idle connection, so that it is they who close it.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(75);
/// When the process has no file descriptor left, others must end first.
const ACCEPT_RETRY_PAUSE: Duration = Duration::from_millis(250);

/// Serves `app` until `stopping`; then takes no new connection, and returns when the answers under way are sent.
pub async fn serve(listener: TcpListener, app: Router, head_timeout: Duration, stopping: CancellationToken) {
    let connections = TaskTracker::new();
    while let Some(accepted) = stopping.run_until_cancelled(listener.accept()).await {
        match accepted {
            Ok((stream, _)) => {
                connections.spawn(serve_connection(stream, app.clone(), head_timeout, stopping.clone()));
            }
            Err(error) if is_client_disconnect(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "can't accept connections");
                tokio::time::sleep(ACCEPT_RETRY_PAUSE).await;
            }
        }
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

/// Answers the requests of one connection. An error is the client's going away, or its being too slow.
async fn serve_connection(
    stream: TcpStream,
    app: Router,
    head_timeout: Duration,
    stopping: CancellationToken,
) {
    // Events of a stream are small, and wait for nothing.
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
        tracing::debug!(%error, "a connection ended early");
    }
}

/// The client was gone before its connection was taken: nobody's fault.
fn is_client_disconnect(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset
    )
}
