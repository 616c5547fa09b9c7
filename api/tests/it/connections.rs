//! Connections: slow and silent clients, compression, browsers of other origins.

use crate::{
    client::{Client, send},
    server::Server,
};
use api::testing::http;
use axum::{Router, routing::get};
use reqwest::Method;
use serde_json::json;
use shared::http::server::{self, MAX_HEAD_BYTES, ServerLimits};
use std::time::Duration;
use test_support::hold_connections;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Notify,
};
use tokio_util::sync::CancellationToken;

/// Limits, in seconds, what takes milliseconds on an idle machine.
const LIMIT: Duration = Duration::from_secs(20);

const LIMITS: ServerLimits = ServerLimits::with_connections(8);

#[tokio::test]
async fn a_client_that_is_slow_to_ask_loses_its_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let short = Duration::from_millis(100);
    let limits = ServerLimits { head_timeout: short, keep_alive: short, ..LIMITS };
    let serving = tokio::spawn(server::serve(listener, Router::new(), limits, stop.clone()));
    let answered = "GET / HTTP/1.1\r\nhost: x\r\n\r\n";
    for head in ["", "GET /healthz HTTP/1.1\r\nhost: x\r\nx-slow", answered] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let read = tokio::time::timeout(LIMIT, stream.read_to_end(&mut answer)).await;
        read.unwrap_or_else(|_| panic!("{head:?} still holds its connection")).ok();
    }
    stop.cancel();
    tokio::time::timeout(LIMIT, serving).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_client_that_reads_nothing_loses_its_connection() {
    static ASKED: Notify = Notify::const_new();
    // More than the buffers of both sockets hold.
    let large = get(async || {
        ASKED.notify_one();
        vec![0_u8; 64 << 20]
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let limits = ServerLimits { write_timeout: Duration::from_millis(100), ..LIMITS };
    let app = Router::new().route("/", large);
    let serving = tokio::spawn(server::serve(listener, app, limits, stop.clone()));
    let _unread = hold_connections(address, "GET / HTTP/1.1\r\nhost: x\r\n\r\n", 1).await;
    ASKED.notified().await;
    stop.cancel();
    // The server waits for the response, and so for its end.
    tokio::time::timeout(LIMIT, serving).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_head_over_the_limit_gets_no_answer_of_a_handler() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let _stop = stop.clone().drop_guard();
    tokio::spawn(server::serve(listener, Router::new(), LIMITS, stop));
    for (length, is_answered) in [(MAX_HEAD_BYTES / 2, true), (MAX_HEAD_BYTES + 1, false)] {
        let head = format!(
            "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-long: {}\r\n\r\n",
            "x".repeat(length)
        );
        let mut stream = TcpStream::connect(address).await.unwrap();
        // The server may close the connection before it has read everything.
        stream.write_all(head.as_bytes()).await.ok();
        let mut answer = Vec::new();
        tokio::time::timeout(LIMIT, stream.read_to_end(&mut answer)).await.unwrap().ok();
        assert_eq!(answer.starts_with(b"HTTP/1.1 404"), is_answered, "{length} bytes");
    }
}

#[tokio::test]
async fn clients_that_stop_sending_keep_no_other_client_out() {
    let server = Server::start().await;
    let key = server.client("demo").await.key().to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let _stop = stop.clone().drop_guard();
    tokio::spawn(server::serve(listener, http::router(&server.state, None), LIMITS, stop));
    let body = format!(
        "POST /api/v1/runnerctl/scripts/ HTTP/1.1\r\nhost: x\r\nx-api-key: {key}\r\n\
         content-type: application/json\r\ncontent-length: 100\r\n\r\n{{"
    );
    let answered = "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n";
    for beginning in ["", "GET /healthz HTTP/1.1\r\nhost: x\r\nx-slow", &body, answered] {
        let _held = hold_connections(address, beginning, 3 * LIMITS.connections).await;
        let client = Client::new(&format!("http://{address}"), "");
        let healthy = tokio::time::timeout(LIMIT, client.root("/healthz"));
        let answer = healthy.await.unwrap_or_else(|_| panic!("no answer beside {beginning:?}"));
        assert_eq!(answer.status, 200, "beside {beginning:?}");
    }
}

#[tokio::test]
async fn a_response_in_progress_is_sent_before_the_server_stops() {
    static ASKED: Notify = Notify::const_new();
    static ANSWER: Notify = Notify::const_new();
    let slow = get(async || {
        ASKED.notify_one();
        ANSWER.notified().await;
        "done"
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let app = Router::new().route("/", slow);
    let serving = tokio::spawn(server::serve(listener, app, LIMITS, stop.clone()));
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    ASKED.notified().await;
    stop.cancel();
    ANSWER.notify_one();
    let mut answer = String::new();
    tokio::time::timeout(LIMIT, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("done"), "{answer}");
    tokio::time::timeout(LIMIT, serving).await.unwrap().unwrap();
}

#[tokio::test]
async fn responses_are_compressed_when_the_client_accepts_it() {
    let server = Server::start().await;
    let client = server.client("demo").await;
    let plain = reqwest::Client::builder().no_gzip().no_brotli().build().unwrap();
    let types = |encodings: &str| {
        plain
            .get(format!("{}/api/v1/runnerctl/types/", server.address))
            .header("x-api-key", client.key())
            .header("accept-encoding", encodings)
            .send()
    };
    let compressed = types("gzip").await.unwrap();
    assert_eq!(compressed.headers()["content-encoding"], "gzip");
    let plain_answer = types("identity").await.unwrap();
    assert!(!plain_answer.headers().contains_key("content-encoding"));
    let (short, long) = (compressed.bytes().await.unwrap().len(), plain_answer.bytes().await.unwrap().len());
    assert!(short * 2 < long, "{short} bytes of {long}");
}

#[tokio::test]
async fn browsers_of_other_origins_may_call_only_if_they_are_listed() {
    let ask = async |server: &Server, method: Method, origin: &str| {
        let url = format!("{}/api/v1/runnerctl/executions/", server.address);
        let request = Client::new(&server.address, "").bare(method, &url);
        let request = request.header("origin", origin).header("access-control-request-method", "POST");
        request.header("access-control-request-headers", "x-api-key").send().await.unwrap()
    };
    let closed = Server::start().await;
    for method in [Method::OPTIONS, Method::GET] {
        let answer = ask(&closed, method, "https://app.example.com").await;
        assert!(!answer.headers().contains_key("access-control-allow-origin"));
    }
    let open = Server::start_with(|config| {
        config.http.cors_allowed_origins = vec!["https://app.example.com".to_owned()];
    })
    .await;
    let preflight = ask(&open, Method::OPTIONS, "https://app.example.com").await;
    assert_eq!(preflight.status(), 200);
    assert_eq!(preflight.headers()["access-control-allow-origin"], "https://app.example.com");
    assert!(preflight.headers()["access-control-allow-headers"].to_str().unwrap().contains("x-api-key"));
    let other = ask(&open, Method::OPTIONS, "https://evil.example.com").await;
    assert!(!other.headers().contains_key("access-control-allow-origin"));
}

#[tokio::test]
async fn a_path_that_is_not_utf8_is_not_found() {
    let server = Server::start().await;
    let client = server.client("demo").await;
    for path in ["/scripts/%FF/", "/environment/%C3%28/", "/executions/%FF/logs/", "/dead-letters/%FF/"] {
        assert_eq!(send(client.request(Method::GET, path)).await.json(404)["code"], "not_found", "{path}");
    }
    assert_eq!(client.post("/executions/%FF/cancel/", json!({})).await.json(404)["code"], "not_found");
}

#[tokio::test]
async fn compressed_and_plain_bodies_of_a_state_have_different_tags() {
    let server = Server::start().await;
    let client = server.client("demo").await;
    let script = client.script("n", "export default () => 1").await;
    let plain = reqwest::Client::builder().no_gzip().no_brotli().build().unwrap();
    let types = async |path: &str, encoding: &str, tag: &str| {
        let url = format!("{}/api/v1/runnerctl{path}", server.address);
        let request = plain.get(url).header("x-api-key", client.key()).header("accept-encoding", encoding);
        let answer = request.header("if-none-match", tag).send().await.unwrap();
        let header =
            |name: &str| answer.headers().get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
        (answer.status().as_u16(), header("etag"), header("vary"))
    };
    for path in ["/types/".to_owned(), format!("/scripts/{}/", script["id"].as_str().unwrap())] {
        let (_, strong, vary) = types(&path, "identity", "\"x\"").await;
        assert!(strong.starts_with('"') && vary.contains("accept-encoding"), "{path}: {strong} {vary}");
        let (status, weak, vary) = types(&path, "gzip", "\"x\"").await;
        assert_eq!(
            (status, &weak, vary.contains("accept-encoding")),
            (200, &format!("W/{strong}"), true),
            "{path}"
        );
        for (encoding, tag) in [("gzip", &weak), ("identity", &strong)] {
            let (status, known, vary) = types(&path, encoding, tag).await;
            assert_eq!((status, &known), (304, tag), "{path}");
            assert!(vary.contains("accept-encoding"), "{path}: {vary}");
        }
        // A change may name either: they are tags of one state.
        if path.starts_with("/scripts/") {
            let change = client.request(Method::PATCH, &path).header("if-match", &weak);
            send(crate::client::json(change, &json!({"description": "d"}))).await.json(200);
        }
    }
}

/// Sends a request as it is and returns the answer.
async fn exchange(server: &Server, request: &str) -> String {
    let mut stream = TcpStream::connect(server.address.trim_start_matches("http://")).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    tokio::time::timeout(LIMIT, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    answer
}

#[tokio::test]
async fn a_request_over_http_1_1_must_name_one_host() {
    let server = Server::start().await;
    for (version, hosts, status) in [
        ("1.1", "", "400"),
        ("1.1", "host: a\r\nhost: b\r\n", "400"),
        ("1.1", "host: a\r\n", "200"),
        ("1.0", "", "200"),
        ("1.0", "host: a\r\nhost: b\r\n", "400"),
    ] {
        for path in ["/healthz", "/api/v1/runnerctl/health/"] {
            let request = format!("GET {path} HTTP/{version}\r\n{hosts}connection: close\r\n\r\n");
            let answer = exchange(&server, &request).await;
            assert_eq!(&answer[9..12], status, "{request}{answer}");
            assert!(status == "200" || answer.contains(r#"{"Host":["Must be sent once"#), "{answer}");
        }
    }
}

#[tokio::test]
async fn a_body_with_a_content_encoding_is_refused() {
    let server = Server::start().await;
    let client = server.client("demo").await;
    let post = async |path: &str, encodings: &[&str], body: &'static str| {
        let request = client.request(Method::POST, path).header("content-type", "application/json");
        let request =
            encodings.iter().fold(request, |request, coding| request.header("content-encoding", *coding));
        send(request.body(body)).await
    };
    let script = client.script("n", "export default () => 1").await;
    let run = client.post("/executions/", json!({"script_id": script["id"]})).await.json(202);
    let replay = format!("/executions/{}/replay/", run["id"].as_str().unwrap());
    for path in ["/scripts/", &replay] {
        for encodings in [&["gzip"][..], &["identity", "br"], &["identity, deflate"], &["x"]] {
            let refused = post(path, encodings, "{}").await;
            assert_eq!(refused.json(415)["code"], "unsupported_content_encoding", "{path} {encodings:?}");
            assert_eq!(refused.header("accept-encoding"), "identity");
        }
    }
    post(&replay, &["Identity"], "{}").await.json(202);
    // Without a body there is nothing to decode.
    post(&replay, &["gzip"], "").await.json(202);
}

#[tokio::test]
async fn event_streams_ask_proxies_not_to_buffer_them() {
    let server = Server::start().await;
    let client = server.client("demo").await;
    let script = client.script("n", "export default () => 1").await;
    let run = client.post("/executions/", json!({"script_id": script["id"]})).await.json(202);
    let path = format!("/executions/{}/events/", run["id"].as_str().unwrap());
    let stream = client.request(Method::GET, &path).send().await.unwrap();
    assert_eq!(stream.headers()["x-accel-buffering"], "no");
    assert_eq!(stream.headers()["cache-control"], "no-cache");
}
