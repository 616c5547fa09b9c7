//! Channel of the Plane SDK: the supervisor's token is sent to Plane's API and nowhere else.

use super::*;
use axum::{
    http::{HeaderMap, StatusCode, header},
    response::IntoResponse,
};

const TOKEN: &str = "plane_api_0123456789";

/// Returns a router that responds with the credentials that arrived. `/api/to?…` redirects to the URL after the question mark.
fn router() -> Router {
    Router::new().fallback(async |uri: axum::http::Uri, headers: HeaderMap| {
        if uri.path().ends_with("/to") {
            return (StatusCode::FOUND, [(header::LOCATION, uri.query().unwrap().to_owned())])
                .into_response();
        }
        let sent = |name| headers.get(name).map_or("-", |value| value.to_str().unwrap()).to_owned();
        format!("{} {} {}", uri.path(), sent("x-api-key"), sent("authorization")).into_response()
    })
}

/// Starts a server with Plane at `/api`, and another server.
async fn plane() -> (Server, Server, Fetcher) {
    let (plane, store) = (Server::start(router()).await, Server::start(router()).await);
    let base = plane.url("/api").parse().unwrap();
    let fetcher = Fetcher::new(FetchConfig::new(base, "127.0.0.1".parse().unwrap())).unwrap();
    (plane, store, fetcher)
}

fn run<S: AsRef<str>>(allowed: &[S]) -> RunPolicy {
    RunPolicy::new(allowed, Some(TOKEN), &Limits::default())
}

fn of_the_sdk(url: impl Into<String>) -> FetchRequest {
    let headers = [("X-Api-Key", "placeholder"), ("Authorization", "Bearer placeholder")];
    FetchRequest {
        plane: true,
        headers: headers.map(|(name, value)| (name.into(), value.into())).to_vec(),
        ..get(url)
    }
}

const NONE: [&str; 0] = [];

#[tokio::test]
async fn the_sdk_needs_no_allow_list_and_gets_the_token() {
    let (plane, _store, fetcher) = plane().await;
    let answer = response(&fetcher, of_the_sdk(plane.url("/api/v1/me")), &run(&NONE)).await;
    assert_eq!(answer.body, format!("/api/v1/me {TOKEN} -"));
}

#[tokio::test]
async fn a_scripts_own_request_to_plane_gets_no_token() {
    let (plane, _store, fetcher) = plane().await;
    let message = refusal(&fetcher, get(plane.url("/api/v1/me")), &run(&NONE)).await;
    assert_eq!(message, "Domain not allowed: 127.0.0.1");
    let answer = response(&fetcher, get(plane.url("/api/v1/me")), &run(&[plane.entry()])).await;
    assert_eq!(answer.body, "/api/v1/me - -");
}

#[tokio::test]
async fn the_sdk_header_grants_the_token_to_planes_api_only() {
    let (plane, store, fetcher) = plane().await;
    let run = run(&[plane.entry(), store.entry()]);
    for url in [
        store.url("/api/v1/me"),
        plane.url("/other"),
        plane.url("/api/..%2fother"),
        plane.url("/api/../other"),
    ] {
        let message = refusal(&fetcher, of_the_sdk(url), &run).await;
        assert!(message.starts_with("Plane's client reaches Plane's API only, not 127.0.0.1:"), "{message}");
    }
    assert_eq!((plane.connections(), store.connections()), (0, 0));
}

#[tokio::test]
async fn a_redirect_within_the_api_keeps_the_token() {
    let (plane, _store, fetcher) = plane().await;
    let answer = response(&fetcher, of_the_sdk(plane.url("/api/to?/api/end")), &run(&NONE)).await;
    assert_eq!(answer.body, format!("/api/end {TOKEN} -"));
}

#[tokio::test]
async fn a_redirect_out_of_the_api_loses_the_token_permanently() {
    let (plane, store, fetcher) = plane().await;
    let out = of_the_sdk(plane.url(&format!("/api/to?{}", store.url("/file"))));
    let message = refusal(&fetcher, out.clone(), &run(&NONE)).await;
    assert_eq!(message, "Domain not allowed: 127.0.0.1");
    let run = run(&[plane.entry(), store.entry()]);
    assert_eq!(response(&fetcher, out, &run).await.body, "/file - -");
    // The redirects lead to another path of the same host, and back to the API.
    assert_eq!(response(&fetcher, of_the_sdk(plane.url("/api/to?/other")), &run).await.body, "/other - -");
    let back = of_the_sdk(plane.url("/api/to?/other/to?/api/end"));
    assert_eq!(response(&fetcher, back, &run).await.body, "/api/end - -");
}

#[tokio::test]
async fn without_a_token_sdk_requests_fail_with_a_clear_message() {
    let (plane, _store, fetcher) = plane().await;
    let message = refusal(&fetcher, of_the_sdk(plane.url("/api/v1/me")), &policy(&NONE)).await;
    assert_eq!(message, "This workspace has no Plane token: set one in the runner's settings");
    assert_eq!(plane.connections(), 0);
}

#[tokio::test]
async fn a_private_plane_needs_an_exception() {
    let plane = Server::start(router()).await;
    let fetcher =
        Fetcher::new(FetchConfig::new(plane.url("/").parse().unwrap(), "".parse().unwrap())).unwrap();
    let message = refusal(&fetcher, of_the_sdk(plane.url("/api/v1/me")), &run(&NONE)).await;
    assert_eq!(message, "Address not allowed: 127.0.0.1 is a loopback address");
    assert_eq!(plane.connections(), 0);
}
