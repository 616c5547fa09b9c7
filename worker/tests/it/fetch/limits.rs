//! Limits on requests and responses.

use super::*;
use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, HeaderName, header},
    routing::{get as on_get, post},
};
use futures_util::stream;
use std::convert::Infallible;

const LIMIT: usize = 10 * 1024 * 1024;
const TOO_LARGE: &str = "Response too large: over 10485760 bytes";

/// Returns a body without end.
fn endless(chunk: Bytes) -> Body {
    Body::from_stream(stream::repeat_with(move || Ok::<_, Infallible>(chunk.clone())))
}

/// Returns a gzip stream of zeros without end: a header, then the same deflate block for ever.
fn endless_zeros() -> Body {
    use flate2::{Compress, Compression, FlushCompress};
    let mut deflate = Compress::new(Compression::best(), false);
    let zeros = vec![0; 1024 * 1024];
    let mut block = Vec::with_capacity(64 * 1024);
    // A full flush makes each block independent of the others.
    deflate.compress_vec(&zeros, &mut block, FlushCompress::Full).unwrap();
    let header = Bytes::from_static(b"\x1f\x8b\x08\0\0\0\0\0\0\xff");
    let blocks = std::iter::repeat(Bytes::from(block));
    Body::from_stream(stream::iter(std::iter::once(header).chain(blocks).map(Ok::<_, Infallible>)))
}

#[tokio::test]
async fn a_response_one_byte_over_the_limit_is_refused() {
    let router = Router::new()
        .route("/fits", on_get(async || vec![b'a'; LIMIT]))
        .route("/over", on_get(async || vec![b'a'; LIMIT + 1]))
        .route("/streamed", on_get(async || endless(Bytes::from_static(&[b'a'; 4096]))));
    let server = Server::start(router).await;
    let (fetcher, policy) = (fetcher(), policy(&[server.entry()]));
    assert_eq!(response(&fetcher, get(server.url("/fits")), &policy).await.body.len(), LIMIT);
    assert_eq!(refusal(&fetcher, get(server.url("/over")), &policy).await, TOO_LARGE);
    assert_eq!(refusal(&fetcher, get(server.url("/streamed")), &policy).await, TOO_LARGE);
}

#[tokio::test]
async fn a_decompression_bomb_is_left_at_the_limit() {
    let router =
        Router::new().route("/", on_get(async || ([(header::CONTENT_ENCODING, "gzip")], endless_zeros())));
    let server = Server::start(router).await;
    assert_eq!(refusal(&fetcher(), get(server.url("/")), &policy(&[server.entry()])).await, TOO_LARGE);
}

#[tokio::test]
async fn the_run_s_own_limit_holds() {
    let server = Server::start(Router::new().route("/", on_get(async || "12345"))).await;
    let policy = |response_bytes| {
        RunPolicy::new(&[server.entry()], None, &Limits { response_bytes, ..Limits::default() })
    };
    assert_eq!(response(&fetcher(), get(server.url("/")), &policy(5)).await.body, "12345");
    assert_eq!(
        refusal(&fetcher(), get(server.url("/")), &policy(4)).await,
        "Response too large: over 4 bytes"
    );
}

#[tokio::test]
async fn a_third_large_response_waits_until_one_is_delivered() {
    let router = Router::new()
        .route("/large", on_get(async || vec![b'a'; 1024 * 1024]))
        .route("/small", on_get(async || "hi"));
    let server = Server::start(router).await;
    let (fetcher, run, other_run) = (fetcher(), policy(&[server.entry()]), policy(&[server.entry()]));
    let large = |run| fetcher.perform(get(server.url("/large")), run);
    let (first, second) = tokio::join!(large(&run), large(&run));
    let mut third = std::pin::pin!(large(&run));
    for (path, run) in [("/small", &run), ("/large", &other_run)] {
        tokio::select! {
            biased;
            early = &mut third => panic!("{:?}", early.log),
            _ = response(&fetcher, get(server.url(path)), run) => {}
        }
    }
    drop(first);
    assert!(matches!(third.await.answer, FetchAnswer::Response { status: 200, .. }));
    drop(second);
}

#[tokio::test]
async fn response_headers_are_bounded() {
    let headers = |count: usize, size: usize| {
        (0..count)
            .map(|n| (HeaderName::try_from(format!("x-{n}")).unwrap(), "a".repeat(size).parse().unwrap()))
            .collect::<HeaderMap>()
    };
    let router = Router::new()
        .route("/fits", on_get(async move || headers(200, 256)))
        .route("/large", on_get(async move || headers(10, 8 * 1024)))
        .route("/many", on_get(async move || headers(300, 1)));
    let server = Server::start(router).await;
    let (fetcher, policy) = (fetcher(), policy(&[server.entry()]));
    assert_eq!(response(&fetcher, get(server.url("/fits")), &policy).await.status, 200);
    let message = refusal(&fetcher, get(server.url("/large")), &policy).await;
    assert_eq!(message, "Response headers too large: over 65536 bytes or 256 lines");
    let message = refusal(&fetcher, get(server.url("/many")), &policy).await;
    assert_eq!(message, "Response headers too large: over 65536 bytes or 256 lines");
}

#[tokio::test]
async fn a_request_body_over_the_limit_is_not_sent() {
    let server =
        Server::start(Router::new().route("/", post(async |body: Bytes| body.len().to_string()))).await;
    let fetcher = Fetcher::new(FetchConfig { request_bytes: 1_000, ..config("127.0.0.1") }).unwrap();
    let sent = |size: usize| ScriptRequest::with_body(request("POST", server.url("/")), vec![b'a'; size]);
    let policy = policy(&[server.entry()]);
    for size in [1_001, 1_002, 5_000] {
        assert_eq!(refusal(&fetcher, sent(size), &policy).await, "Request body too large: over 1000 bytes");
    }
    assert_eq!(server.connections(), 0);
    for size in [998, 999, 1_000] {
        assert_eq!(response(&fetcher, sent(size), &policy).await.body, size.to_string());
    }
}

#[tokio::test]
async fn an_invalid_request_is_refused_without_a_connection() {
    let server = Server::start(Router::new()).await;
    let (fetcher, policy) = (fetcher(), policy(&[server.entry()]));
    let good = || get(server.url("/"));
    for (bad, expected) in [
        (FetchRequest { url: "no url".into(), ..good() }, "Invalid URL: relative URL without a base"),
        (
            FetchRequest { url: format!("{}{}", server.url("/"), "a".repeat(40_000)), ..good() },
            "URL too long: over 32768 bytes",
        ),
        (FetchRequest { method: "TRACE".into(), ..good() }, "Method not allowed: TRACE"),
        (
            FetchRequest { method: "GET / HTTP/1.1\r\nx: y".into(), ..good() },
            "Method not allowed: GET / HTTP/1.1\r\nx: y",
        ),
        (
            FetchRequest { headers: vec![("x".into(), "a\r\nHost: b".into())], ..good() },
            "Header not allowed: x (its value holds characters that a header can't)",
        ),
    ] {
        assert_eq!(refusal(&fetcher, bad, &policy).await, expected);
    }
    let with_body = ScriptRequest::with_body(good(), "hi");
    assert_eq!(refusal(&fetcher, with_body, &policy).await, "Request with GET method cannot have a body");
    assert_eq!(server.connections(), 0);
}

#[test]
fn outcomes_are_counted() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    metrics::with_local_recorder(&recorder, || {
        runtime.block_on(async {
            let server = Server::start(Router::new().route("/", on_get(async || "hi"))).await;
            let (fetcher, policy) = (fetcher(), policy(&[server.entry(), "127.0.0.1:1".into()]));
            fetcher.perform(get(server.url("/")), &policy).await;
            fetcher.perform(get("https://evil.example/"), &policy).await;
            fetcher.perform(get("http://127.0.0.1:1/"), &policy).await;
            futures_util::FutureExt::now_or_never(fetcher.perform(get(server.url("/")), &policy));
        });
    });
    let text = handle.render();
    for outcome in ["2xx", "refused", "failed", "aborted"] {
        assert!(text.contains(&format!("runnerctl_fetches_total{{outcome=\"{outcome}\"}} 1")), "{text}");
    }
    assert!(text.contains("runnerctl_fetch_seconds_count 4"), "{text}");
}
