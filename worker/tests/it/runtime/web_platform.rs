//! Facts of the standards, restated in `tests/web_platform/` with one file per area.

use super::{Server, job, pool, run, source, texts};
use axum::{
    Json, Router,
    body::Bytes,
    extract::Path,
    http::{HeaderMap, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
    routing::any,
};
use serde_json::{Value, json};
use std::{future::pending, sync::Arc};
use worker::testing::supervisor::Pool;

const AREAS: [&str; 17] = [
    "abort",
    "base64",
    "blob",
    "crypto",
    "dom_exception",
    "encoding",
    "events",
    "form_data",
    "globals",
    "hardening",
    "headers",
    "request",
    "response",
    "streams",
    "structured_clone",
    "timers",
    "url",
];
/// Cases that are known to fail, each with its reason.
const KNOWN_GAPS: [&str; 1] = [
    // The `url` crate keeps the bar of a drive letter, which does not matter, since scripts have no files.
    "url: parses file:///C|/x:",
];
const PLANE: &str = "http://plane.example";

/// Runs one area's cases and prints the pass rate. Returns the cases that failed unexpectedly.
async fn area(pool: &Arc<Pool>, name: &str, prelude: &str, allowed: &[&str]) -> Vec<String> {
    let cases = source(&format!("web_platform/{name}.js"));
    let harness = source("web_platform/harness.js");
    let body = format!("{prelude}\n{harness}\n{cases}\nreturn report();");
    let result = run(pool, job(&body, PLANE), allowed).await.result();
    let failed = texts(&result["failed"]);
    let total = usize::try_from(result["total"].as_u64().unwrap()).unwrap();
    println!("{name:<18} {:>3} of {total:>3}", total - failed.len());
    let failed = failed.into_iter().map(|case| format!("{name}: {case}"));
    failed.filter(|case| !KNOWN_GAPS.iter().any(|gap| case.starts_with(gap))).collect()
}

#[tokio::test]
async fn every_web_platform_area_follows_its_standard() {
    let pool = pool(PLANE).await;
    let mut failed = Vec::new();
    for name in AREAS.into_iter().chain(["url_search_params"]) {
        failed.extend(area(&pool, name, "", &[]).await);
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// Returns the router of the server that `fetch.js` uses.
fn echo_server() -> Router {
    Router::new()
        .route("/echo", any(echo))
        .route("/status/{status}", any(async |Path(status): Path<u16>| StatusCode::from_u16(status).unwrap()))
        .route(
            "/redirect/{status}",
            any(async |Path(status): Path<u16>| {
                (StatusCode::from_u16(status).unwrap(), [(header::LOCATION, "/echo")])
            }),
        )
        .route("/slow", any(async || pending::<()>().await))
        .route("/bytes", any(async || (0..=u8::MAX).collect::<Vec<_>>()))
}

async fn echo(method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let headers = headers
        .iter()
        .map(|(name, value)| (name.to_string(), json!(String::from_utf8_lossy(value.as_bytes()))))
        .collect::<serde_json::Map<_, _>>();
    Json(json!({
        "method": method.as_str(),
        "path": uri.to_string(),
        "headers": headers,
        "body": String::from_utf8_lossy(&body),
    }))
    .into_response()
}

#[tokio::test]
async fn fetch_follows_its_standard() {
    let server = Server::start(echo_server()).await;
    let prelude = format!("const ORIGIN = {:?};", server.origin);
    let failed = area(&pool(PLANE).await, "fetch", &prelude, &[&server.host]).await;
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// Returns true if a line is the expected one: a text, or the `{ start, end }` of one.
fn is_expected(expected: &Value, message: &str) -> bool {
    match (expected["start"].as_str(), expected["end"].as_str()) {
        (Some(start), Some(end)) => message.starts_with(start) && message.ends_with(end),
        _ => expected.as_str() == Some(message),
    }
}

#[tokio::test]
async fn console_prints_what_node_prints() {
    let body = format!("{}\nreturn lines;", source("web_platform/console.js"));
    let finished = run(&pool(PLANE).await, job(&body, PLANE), &[]).await;
    let expected = finished.result();
    let expected = expected.as_array().unwrap();
    let wrong: Vec<_> = expected
        .iter()
        .zip(&finished.logs)
        .filter(|(expected, line)| {
            expected["level"] != line.level.as_str() || !is_expected(&expected["message"], &line.message)
        })
        .map(|(expected, line)| format!("expected {expected}\n     got {} {:?}", line.level, line.message))
        .collect();
    println!("{:<18} {:>3} of {:>3}", "console", expected.len() - wrong.len(), expected.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(finished.logs.len(), expected.len());
}
