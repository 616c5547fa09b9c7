//! The worker's HTTP endpoints.

mod build;
mod connections;
mod execute;
mod signatures;

use crate::endpoints::{Call, Endpoints};
use reqwest::{Method, StatusCode};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// Address at which no server listens, since these tests do not reach Plane.
const NO_PLANE: &str = "http://127.0.0.1:9";

#[tokio::test]
async fn health_is_unsigned_and_shows_slots_layers_and_connections() {
    let endpoints = Endpoints::start(NO_PLANE).await;
    for path in ["/health", "/health/"] {
        let (status, _, health) = endpoints.get(path).await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(health["status"], "ok");
        assert_eq!((&health["slots"], &health["busy"]), (&json!(1), &json!(0)));
        assert_eq!(health["connections"], json!({ "database": true, "broker": false }));
        let pool = endpoints.pool.status();
        assert_eq!(health["layers"], json!(pool.layers));
        assert_eq!(health["missing_layers"], json!(pool.missing_layers));
        assert_eq!(pool.layers.len() + pool.missing_layers.len(), 11, "{pool:?}");
    }
}

#[tokio::test]
async fn metrics_need_no_signature_and_count_requests_by_route() {
    let endpoints = Endpoints::start(NO_PLANE).await;
    endpoints.get("/health").await;
    endpoints.get("/no/such/path").await;
    let (status, _, text) = endpoints.get("/metrics").await;
    let text = text.as_str().unwrap();
    assert_eq!(status, StatusCode::OK);
    assert!(
        text.contains(r#"runnerctl_http_requests_total{method="GET",route="/health",status="200"}"#),
        "{text}"
    );
    assert!(text.contains(r#"route="unmatched",status="404""#) && !text.contains("/no/such"), "{text}");
}

#[tokio::test]
async fn unknown_paths_and_methods_have_the_error_shape_of_the_api() {
    let endpoints = Endpoints::start(NO_PLANE).await;
    let (status, _, body) = endpoints.get("/scripts").await;
    assert_eq!((status, body["code"].as_str()), (StatusCode::NOT_FOUND, Some("not_found")));
    let (status, headers, body) = endpoints.get("/build").await;
    assert_eq!((status, body["code"].as_str()), (StatusCode::METHOD_NOT_ALLOWED, Some("method_not_allowed")));
    assert_eq!(headers["allow"], "POST");
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_before_it_is_read() {
    let endpoints = Endpoints::start(NO_PLANE).await;
    let code = "x".repeat(worker::testing::http::MAX_BODY_BYTES);
    let (status, body) = endpoints.post("/build", &json!({ "code": code })).await;
    assert_eq!((status, body["code"].as_str()), (StatusCode::PAYLOAD_TOO_LARGE, Some("payload_too_large")));
}

#[tokio::test]
async fn a_body_with_a_content_encoding_is_refused() {
    let endpoints = Endpoints::start(NO_PLANE).await;
    let call = Call::post("/validate", &json!({ "code": "function main() {}" }));
    let signature = endpoints.signature(&call);
    let request = endpoints.request(call, &signature).header("content-encoding", "gzip");
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(response.headers()["accept-encoding"], "identity");
    assert!(response.text().await.unwrap().contains("unsupported_content_encoding"));
}

#[tokio::test]
async fn a_request_over_http_1_1_must_name_one_host() {
    let endpoints = Endpoints::start(NO_PLANE).await;
    for (hosts, status) in [("", "400"), ("host: a\r\nhost: b\r\n", "400"), ("host: a\r\n", "200")] {
        let mut stream = TcpStream::connect(endpoints.url("").trim_start_matches("http://")).await.unwrap();
        let request = format!("GET /health HTTP/1.1\r\n{hosts}connection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert_eq!(&answer[9..12], status, "{request}{answer}");
    }
}

#[tokio::test]
async fn a_body_that_is_no_object_is_refused() {
    let endpoints = Endpoints::start(NO_PLANE).await;
    for body in ["", "[]", "{", "null"] {
        let call = Call { body: body.to_owned(), method: Method::POST, ..Call::post("/build", &json!({})) };
        let (status, answer) = endpoints.send(call).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert!(answer["non_field_errors"].is_array(), "{body}: {answer}");
    }
}
