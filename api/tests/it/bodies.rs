//! Bodies of requests whose signature is not valid: what the api reads and holds of them.

use crate::{server::Server, signed::Signed};
use chrono::Utc;
use reqwest::Method;
use std::{net::SocketAddr, time::Duration};
use test_support::hold_connections;
use tokio::{
    io::AsyncReadExt,
    time::{Instant, timeout},
};

/// Limits, in seconds, what takes milliseconds on an idle machine.
const LIMIT: Duration = Duration::from_secs(20);
const PATH: &str = "/api/runnerctl/scripts/";
/// Length of a large body, in bytes: nearly the limit.
const LARGE: usize = 2 * 1024 * 1024 - 1024;
/// Number of large bodies, twice as many as fit into the budget.
const BODIES: usize = 32;

fn address(server: &Server) -> SocketAddr {
    server.address.trim_start_matches("http://").parse().unwrap()
}

/// Returns the head of a request with a large body.
fn head(timestamp: i64, nonce: &str, signature: &str) -> String {
    format!(
        "POST {PATH} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {LARGE}\r\n\
         x-runner-timestamp: {timestamp}\r\nx-runner-nonce: {nonce}\r\nx-workspace-slug: demo\r\n\
         x-runner-signature: {signature}\r\n\r\n"
    )
}

#[tokio::test]
async fn a_malformed_signature_is_refused_before_the_body_arrives() {
    let server = Server::start().await;
    let (now, nonce, signature) = (Utc::now().timestamp(), "0123456789abcdef", format!("v1={:064}", 0));
    for head in [
        head(now, nonce, "v1=0"),
        head(now, nonce, &format!("v2={:064}", 0)),
        head(now, "short", &signature),
        head(now - 400, nonce, &signature),
        head(now, nonce, &format!("{signature}\r\nx-workspace-slug: other")),
    ] {
        let mut held = hold_connections(address(&server), &head, 1).await;
        let mut status = [0; 12];
        let read = timeout(LIMIT, held[0].read_exact(&mut status)).await;
        read.unwrap_or_else(|_| panic!("waits for the body: {head}")).unwrap();
        assert_eq!(&status, b"HTTP/1.1 401", "{head}");
    }
}

#[tokio::test]
async fn many_large_unsigned_bodies_stay_within_the_budget() {
    let server = Server::start().await;
    let unfinished =
        head(Utc::now().timestamp(), "0123456789abcdef", &format!("v1={:064}", 0)) + &"x".repeat(LARGE - 1);
    let held = hold_connections(address(&server), &unfinished, BODIES).await;
    let large = "{}".to_owned() + &" ".repeat(LARGE - 2);
    // The body is read but has no field that a script needs, so an accepted one is answered 400.
    until_answered(&server, &large, 503).await;
    Signed::get(PATH, "demo").send(&server).await.json(200);
    Signed::get(PATH, "demo").sending(Method::POST, "{}").send(&server).await.json(400);
    drop(held);
    until_answered(&server, &large, 400).await;
}

/// Sends signed requests with this body until one is answered with `status`.
async fn until_answered(server: &Server, body: &str, status: u16) {
    let deadline = Instant::now() + LIMIT;
    loop {
        let answer = Signed::get(PATH, "demo").sending(Method::POST, body).send(server).await;
        if answer.status == status {
            return;
        }
        assert!(Instant::now() < deadline, "not answered {status}: {answer:?}");
    }
}
