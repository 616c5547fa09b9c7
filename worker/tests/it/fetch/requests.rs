//! Requests and responses of `fetch` on the wire.

use super::*;
use axum::{
    body::Bytes,
    extract::Request,
    http::{HeaderMap, StatusCode, header},
    routing::{any, get as on_get},
};
use std::{fmt::Write as _, sync::Arc};
use tokio::sync::{Barrier, Notify};

/// Responds with the request as it arrived.
async fn echo(request: Request) -> String {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let mut text = format!("{} {}\n", parts.method, parts.uri);
    for (name, value) in &parts.headers {
        writeln!(text, "{name}: {}", String::from_utf8_lossy(value.as_bytes())).unwrap();
    }
    text + "\n" + &String::from_utf8_lossy(&body)
}

#[tokio::test]
async fn a_request_arrives_as_the_script_wrote_it() {
    let server = Server::start(Router::new().route("/path", any(echo))).await;
    let sent = FetchRequest {
        headers: vec![
            ("Content-Type".into(), "application/json".into()),
            ("X-Own".into(), "f\u{fc}r".into()),
        ],
        ..request("patch", server.url("/path?q=1#fragment"))
    };
    let sent = ScriptRequest::with_body(sent, "{\"a\":1}");
    let answer = response(&fetcher(), sent, &policy(&[server.entry()])).await;
    let (head, body) = answer.body.split_once("\n\n").unwrap();
    let mut lines: Vec<_> = head.lines().collect();
    lines.sort_unstable();
    let host = format!("host: {}", server.address);
    let agent = concat!("user-agent: RunnerCtl/", env!("CARGO_PKG_VERSION"));
    let mut expected = [
        "patch /path?q=1",
        "accept: */*",
        "accept-encoding: gzip,br",
        "content-length: 7",
        "content-type: application/json",
        &host,
        agent,
        "x-own: f\u{fffd}r",
    ];
    expected.sort_unstable();
    assert_eq!(lines, expected);
    assert_eq!(body, "{\"a\":1}");
}

#[tokio::test]
async fn a_response_comes_back_whole() {
    let router = Router::new().route(
        "/",
        on_get(async || {
            let mut headers = HeaderMap::new();
            headers.append(header::SET_COOKIE, "a=1".parse().unwrap());
            headers.append(header::SET_COOKIE, "b=2".parse().unwrap());
            headers.append("x-latin", header::HeaderValue::from_bytes(b"f\xfcr").unwrap());
            (StatusCode::IM_A_TEAPOT, headers, "h\u{e9}llo")
        }),
    );
    let server = Server::start(router).await;
    let answer = response(&fetcher(), get(server.url("/?a#b")), &policy(&[server.entry()])).await;
    assert_eq!((answer.status, answer.status_text.as_str()), (418, "I'm a teapot"));
    assert_eq!((answer.url, answer.redirected), (server.url("/?a"), false));
    assert_eq!(answer.body, "h\u{e9}llo");
    let cookies: Vec<_> =
        answer.headers.iter().filter(|(name, _)| name == "set-cookie").map(|(_, v)| v).collect();
    assert_eq!(cookies, ["a=1", "b=2"]);
    assert!(answer.headers.contains(&("x-latin".into(), "f\u{fc}r".into())));
}

#[tokio::test]
async fn cookies_and_referers_are_not_carried_between_requests() {
    let router = Router::new()
        .route("/login", on_get(async || [(header::SET_COOKIE, "session=1")]))
        .route("/home", any(echo));
    let server = Server::start(router).await;
    let (fetcher, policy) = (fetcher(), policy(&[server.entry()]));
    response(&fetcher, get(server.url("/login")), &policy).await;
    let answer = response(&fetcher, get(server.url("/home")), &policy).await;
    assert!(!answer.body.contains("cookie") && !answer.body.contains("referer"), "{}", answer.body);
}

#[tokio::test]
async fn compressed_responses_are_unpacked() {
    let router = Router::new()
        .route("/gzip", on_get(async || ([(header::CONTENT_ENCODING, "gzip")], gzip(b"hello"))))
        // A brotli stream that holds five bytes uncompressed, RFC 7932 section 9.2.
        .route(
            "/br",
            on_get(async || ([(header::CONTENT_ENCODING, "br")], b"\x0b\x02\x80hello\x03".to_vec())),
        )
        .route("/broken", on_get(async || ([(header::CONTENT_ENCODING, "gzip")], "hello")));
    let server = Server::start(router).await;
    let (fetcher, policy) = (fetcher(), policy(&[server.entry()]));
    assert_eq!(response(&fetcher, get(server.url("/gzip")), &policy).await.body, "hello");
    assert_eq!(response(&fetcher, get(server.url("/br")), &policy).await.body, "hello");
    assert_eq!(
        refusal(&fetcher, get(server.url("/broken")), &policy).await,
        format!("Request to {} failed: the response can't be decompressed", server.address)
    );
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn runs_share_a_connection_that_is_idle() {
    let server = Server::start(Router::new().route("/", on_get(async || "hi"))).await;
    let fetcher = fetcher();
    for _ in 0..3 {
        response(&fetcher, get(server.url("/")), &policy(&[server.entry()])).await;
    }
    assert_eq!(server.connections(), 1);
    // The allow-list is checked before a connection is made.
    let none: [&str; 0] = [];
    assert_eq!(
        refusal(&fetcher, get(server.url("/")), &policy(&none)).await,
        "Domain not allowed: 127.0.0.1"
    );
}

#[tokio::test]
async fn every_request_leaves_a_line_without_path_header_or_body() {
    let server = Server::start(Router::new().route("/secret", on_get(async || "hi"))).await;
    let policy = policy(&[server.entry()]);
    let fetcher = fetcher();
    let [line] = &fetcher.perform(get(server.url("/secret?token=1")), &policy).await.log[..] else {
        panic!()
    };
    let (start, elapsed) =
        line.to_string().rsplit_once("200 ").map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    assert_eq!(start, format!("GET {} ", server.address));
    assert!(elapsed.strip_suffix(" ms").unwrap().parse::<u64>().is_ok(), "{elapsed}");
    let [line] = &fetcher.perform(get("https://evil.example/secret?token=1"), &policy).await.log[..] else {
        panic!()
    };
    assert_eq!(line.to_string(), "GET evil.example 0 ms (Domain not allowed: evil.example)");
}

#[tokio::test]
async fn a_dropped_fetch_ends_its_request() {
    struct OnDrop(Arc<Notify>);
    impl Drop for OnDrop {
        fn drop(&mut self) {
            self.0.notify_one();
        }
    }
    let (arrived, ended) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let guards = (arrived.clone(), ended.clone());
    let slow = async move || {
        let _ended = OnDrop(guards.1.clone());
        guards.0.notify_one();
        std::future::pending::<()>().await;
    };
    let server = Server::start(Router::new().route("/", on_get(slow))).await;
    let (fetcher, policy) = (fetcher(), policy(&[server.entry()]));
    tokio::select! {
        early = fetcher.perform(get(server.url("/")), &policy) => panic!("{early:?}"),
        () = arrived.notified() => {}
    }
    ended.notified().await;
}

#[tokio::test]
async fn two_hundred_requests_of_twenty_runs_wait_at_once() {
    let everyone = Arc::new(Barrier::new(200));
    let router = Router::new().route(
        "/",
        on_get(async move || {
            everyone.wait().await;
            "all here"
        }),
    );
    let server = Server::start(router).await;
    let fetcher = fetcher();
    let policies: Vec<_> = (0..20).map(|_| policy(&[server.entry()])).collect();
    let requests = (0..200).map(|n| response(&fetcher, get(server.url("/")), &policies[n % 20]));
    let answers = futures_util::future::join_all(requests).await;
    assert!(answers.iter().all(|answer| answer.body == "all here"));
}

#[tokio::test]
async fn a_run_has_at_most_ten_requests_in_flight() {
    let (arrived, go) = (Arc::new(Barrier::new(11)), Arc::new(Notify::new()));
    let (seen, waiting) = (Arc::new(AtomicUsize::new(0)), (arrived.clone(), go.clone()));
    let counter = seen.clone();
    let router = Router::new().route(
        "/",
        on_get(async move || {
            if counter.fetch_add(1, Ordering::SeqCst) < 10 {
                let go = waiting.1.notified();
                waiting.0.wait().await;
                go.await;
            }
        }),
    );
    let server = Server::start(router).await;
    let (fetcher, policy) = (fetcher(), policy(&[server.entry()]));
    let requests =
        futures_util::future::join_all((0..12).map(|_| response(&fetcher, get(server.url("/")), &policy)));
    let check = async {
        arrived.wait().await;
        let other_run = super::policy(&[server.entry()]);
        let none = seen.load(Ordering::SeqCst);
        response(&fetcher, get(server.url("/")), &other_run).await;
        assert_eq!((none, seen.load(Ordering::SeqCst)), (10, 11), "another run is not held up");
        go.notify_waiters();
    };
    let (answers, ()) = tokio::join!(requests, check);
    assert_eq!(answers.len(), 12);
    assert_eq!(seen.load(Ordering::SeqCst), 13);
}

#[tokio::test]
async fn network_errors_have_plain_messages() {
    use tokio::io::AsyncWriteExt as _;
    let (fetcher, closed) = (fetcher(), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let address = closed.local_addr().unwrap();
    let allowed = policy(&[address.to_string()]);
    let says = async |reply: &'static [u8]| {
        let (message, ()) =
            tokio::join!(refusal(&fetcher, get(format!("http://{address}/")), &allowed), async {
                let (mut socket, _) = closed.accept().await.unwrap();
                tokio::io::AsyncReadExt::read(&mut socket, &mut [0; 4096]).await.unwrap();
                socket.write_all(reply).await.unwrap();
            });
        message
    };
    let failed = |reason: &str| format!("Request to {address} failed: {reason}");
    assert_eq!(says(b"").await, failed("the connection ended before the response did"));
    assert_eq!(says(b"220 ready\r\n").await, failed("the server does not speak HTTP"));
    assert_eq!(
        says(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello").await,
        failed("the connection ended before the response did")
    );
    drop(closed);
    assert_eq!(
        refusal(&fetcher, get(format!("http://{address}/")), &allowed).await,
        failed("connection refused")
    );
}

#[tokio::test]
async fn an_empty_post_says_that_it_is_empty() {
    let server = Server::start(Router::new().route(
        "/",
        any(|headers: HeaderMap, body: Bytes| async move {
            format!("{:?} {}", headers.get(header::CONTENT_LENGTH), body.len())
        }),
    ))
    .await;
    let answer = response(&fetcher(), request("POST", server.url("/")), &policy(&[server.entry()])).await;
    assert_eq!(answer.body, "Some(\"0\") 0");
}

#[test]
fn a_proxy_in_the_environment_is_not_used() {
    let mut again = std::process::Command::new(std::env::current_exe().unwrap());
    again.args(["--exact", "fetch::requests::a_response_comes_back_whole"]);
    for name in ["http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"] {
        // No server listens at this address.
        again.env(name, "http://127.0.0.1:1");
    }
    let output = again.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}
