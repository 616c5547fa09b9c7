//! Signatures of requests, which the worker requires.

use super::NO_PLANE;
use crate::endpoints::{Call, Endpoints};
use reqwest::StatusCode;
use serde_json::json;

fn call() -> Call {
    Call::post("/validate", &json!({ "code": "function main() {}" }))
}

#[tokio::test]
async fn a_signed_request_counts_once() {
    let endpoints = Endpoints::start(NO_PLANE).await;
    let first = call();
    let again = Call { nonce: first.nonce.clone(), ..call() };
    assert_eq!(endpoints.send(first).await.0, StatusCode::OK);
    let (status, body) = endpoints.send(again).await;
    assert_eq!((status, body["code"].as_str()), (StatusCode::UNAUTHORIZED, Some("nonce_replayed")));
}

#[tokio::test]
async fn a_signature_for_something_else_is_refused() {
    let endpoints = Endpoints::start(NO_PLANE).await;
    let signature = |call: &Call| endpoints.signature(call);
    let others = [
        Call { path: "/build".into(), ..call() },
        Call { path: "/validate?x=1".into(), ..call() },
        Call { workspace: "other".into(), ..call() },
        Call { body: "{}".into(), ..call() },
        Call { secret: "another secret that is 32 bytes long".into(), ..call() },
    ];
    for other in others {
        let asked = Call { nonce: other.nonce.clone(), timestamp: other.timestamp, ..call() };
        let (status, body) = endpoints.send_signed(asked, &signature(&other)).await;
        assert_eq!((status, body["code"].as_str()), (StatusCode::UNAUTHORIZED, Some("signature_mismatch")));
    }
}

#[tokio::test]
async fn clocks_may_differ_by_five_minutes() {
    let endpoints = Endpoints::start(NO_PLANE).await;
    let at = |seconds: i64| Call { timestamp: call().timestamp + seconds, ..call() };
    assert_eq!(endpoints.send(at(-290)).await.0, StatusCode::OK);
    assert_eq!(endpoints.send(at(290)).await.0, StatusCode::OK);
    for seconds in [-320, 320] {
        let (status, body) = endpoints.send(at(seconds)).await;
        assert_eq!((status, body["code"].as_str()), (StatusCode::UNAUTHORIZED, Some("signature_expired")));
    }
}

#[tokio::test]
async fn an_unsigned_request_names_the_missing_header() {
    let endpoints = Endpoints::start(NO_PLANE).await;
    let response = reqwest::Client::new().post(endpoints.url("/build")).body("{}").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    let body: serde_json::Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    assert_eq!(
        body,
        json!({ "code": "signature_missing", "detail": "Header x-runner-timestamp is missing." })
    );
}

#[tokio::test]
async fn a_header_sent_twice_is_refused() {
    let endpoints = Endpoints::start(NO_PLANE).await;
    let call = call();
    let signature = endpoints.signature(&call);
    let request = reqwest::Client::new()
        .post(endpoints.url(&call.path))
        .header("content-type", "application/json")
        .header("x-runner-timestamp", call.timestamp)
        .header("x-runner-nonce", &call.nonce)
        .header("x-workspace-slug", "demo")
        .header("x-workspace-slug", "other")
        .header("x-runner-signature", signature)
        .body(call.body);
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
}
