//! Clients that open connections and stop sending, and bodies of requests whose signature is not valid.

use super::NO_PLANE;
use crate::endpoints::{CONNECTIONS, Call, Endpoints};
use reqwest::StatusCode;
use serde_json::json;
use std::time::Duration;
use test_support::hold_connections;
use tokio::{
    io::AsyncReadExt,
    time::{Instant, timeout},
};
use worker::testing::http::MAX_BODY_BYTES;

/// Limits, in seconds, a request that takes milliseconds on an idle machine.
const LIMIT: Duration = Duration::from_secs(20);

/// Returns the head of a request with a signature of the right form, which does not match, and a body of this length.
fn head(path: &str, length: usize) -> String {
    let Call { timestamp, nonce, workspace, .. } = Call::post(path, &json!({}));
    format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\
         x-runner-timestamp: {timestamp}\r\nx-runner-nonce: {nonce}\r\nx-workspace-slug: {workspace}\r\n\
         x-runner-signature: v1={:064}\r\n\r\n",
        0
    )
}

#[tokio::test]
async fn clients_that_stop_sending_keep_no_other_client_out() {
    let endpoints = Endpoints::start(NO_PLANE).await;
    let code = format!("return (await fetch('{}')).status;", endpoints.url("/health"));
    let run = json!({
        "code": code,
        "code_type": "raw",
        "allowed_domains": [endpoints.address.to_string()],
    });
    let answered = "GET /health HTTP/1.1\r\nhost: x\r\n\r\n";
    let body = head("/build", 100) + "{";
    for beginning in ["", "GET /health HTTP/1.1\r\nhost: x\r\nx-slow", &body, answered] {
        let _held = hold_connections(endpoints.address, beginning, 3 * CONNECTIONS).await;
        let health = timeout(LIMIT, reqwest::get(endpoints.url("/health"))).await;
        let health =
            health.unwrap_or_else(|_| panic!("/health does not answer beside {beginning:?}")).unwrap();
        assert_eq!(health.status(), StatusCode::OK, "beside {beginning:?}");
        // The script's fetch is one more client of the same server.
        let run = Call { body: run.to_string(), ..Call::post("/execute-sync", &json!({})) };
        let (status, answer) = timeout(LIMIT, endpoints.send(run)).await.unwrap();
        assert_eq!(
            (status, &answer["result"]),
            (StatusCode::OK, &json!(200)),
            "beside {beginning:?}: {answer}"
        );
    }
}

#[tokio::test]
async fn a_malformed_signature_is_refused_before_the_body_arrives() {
    let endpoints = Endpoints::start(NO_PLANE).await;
    for path in ["/build", "/execute-sync"] {
        let good = head(path, MAX_BODY_BYTES);
        let malformed = [
            good.replace("x-runner-signature: v1=", "x-runner-signature: v2="),
            good.replace("x-runner-nonce: ", "x-runner-nonce: space "),
            good.replace("x-runner-timestamp: ", "x-runner-timestamp: 1"),
        ];
        for head in malformed {
            let mut held = hold_connections(endpoints.address, &head, 1).await;
            let mut status = [0; 12];
            let read = timeout(LIMIT, held[0].read_exact(&mut status)).await;
            read.unwrap_or_else(|_| panic!("waits for the body: {head}")).unwrap();
            assert_eq!(&status, b"HTTP/1.1 401", "{head}");
        }
    }
}

#[tokio::test]
async fn many_large_unsigned_bodies_stay_within_the_budget() {
    let endpoints = Endpoints::start(NO_PLANE).await;
    let unfinished = head("/execute-sync", MAX_BODY_BYTES) + &"x".repeat(MAX_BODY_BYTES - 1);
    // Twice as many as fit into the budget.
    let held = hold_connections(endpoints.address, &unfinished, 16).await;
    until_answered(&endpoints, StatusCode::SERVICE_UNAVAILABLE).await;
    let (status, _) = endpoints.post("/validate", &json!({ "code": "function main() {}" })).await;
    assert_eq!(status, StatusCode::OK, "small requests are served");
    drop(held);
    until_answered(&endpoints, StatusCode::BAD_REQUEST).await;
}

/// Sends signed requests with a large body and no code until one is answered with `status`.
async fn until_answered(endpoints: &Endpoints, status: StatusCode) {
    let deadline = Instant::now() + LIMIT;
    loop {
        let body = "{}".to_owned() + &" ".repeat(MAX_BODY_BYTES - 2);
        let (answered, answer) = endpoints.send(Call { body, ..Call::post("/build", &json!({})) }).await;
        if answered == status {
            return;
        }
        assert!(Instant::now() < deadline, "answered {answered}: {answer}");
    }
}
