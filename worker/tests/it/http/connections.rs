//! Clients that open connections and stop sending.

use super::NO_PLANE;
use crate::endpoints::{CONNECTIONS, Call, Endpoints};
use reqwest::StatusCode;
use serde_json::json;
use std::time::Duration;
use test_support::hold_connections;
use tokio::time::timeout;

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
