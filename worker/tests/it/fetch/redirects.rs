//! Redirects: checked by the same rules as first requests.

use super::*;
use axum::{
    extract::{Path, Request},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::any,
};

fn redirect(status: u16, location: impl AsRef<str>) -> Response {
    (StatusCode::from_u16(status).unwrap(), [(header::LOCATION, location.as_ref())]).into_response()
}

/// Returns a router whose `/to/{status}/{location}` redirects there. Other paths respond with the request that arrived.
fn router() -> Router {
    Router::new()
        .route(
            "/to/{status}/{*location}",
            any(async |Path((status, location)): Path<(u16, String)>| redirect(status, location)),
        )
        .route("/loop", any(async || redirect(302, "/loop")))
        .fallback(async |headers: HeaderMap, request: Request| {
            let sent = |name| headers.get(name).map_or("-", |value| value.to_str().unwrap()).to_owned();
            let (method, authorization, own) =
                (request.method().clone(), sent("authorization"), sent("x-own"));
            let body = axum::body::to_bytes(request.into_body(), 1_000).await.unwrap();
            format!("{method} {authorization} {own} {}", String::from_utf8_lossy(&body))
        })
}

fn with_credentials(request: FetchRequest) -> FetchRequest {
    let headers = [("Authorization", "Bearer s"), ("X-Own", "1")];
    FetchRequest { headers: headers.map(|(name, value)| (name.into(), value.into())).to_vec(), ..request }
}

#[tokio::test]
async fn a_followed_redirect_is_marked_in_the_response() {
    let server = Server::start(router()).await;
    let fetched =
        fetcher().perform(get(server.url("/to/302//to/307//end")), &policy(&[server.entry()])).await;
    assert_eq!(fetched.log.len(), 3);
    let answer =
        response(&fetcher(), get(server.url("/to/302//to/307//end")), &policy(&[server.entry()])).await;
    assert_eq!((answer.status, answer.redirected), (200, true));
    assert_eq!(answer.url, server.url("/end"));
}

#[tokio::test]
async fn a_redirect_keeps_the_body_only_with_the_method() {
    let server = Server::start(router()).await;
    let post = |status: u16| {
        let request = request("POST", server.url(&format!("/to/{status}//end")));
        ScriptRequest::with_body(with_credentials(request), "hi")
    };
    let (fetcher, policy) = (fetcher(), policy(&[server.entry()]));
    assert_eq!(response(&fetcher, post(308), &policy).await.body, "POST Bearer s 1 hi");
    assert_eq!(response(&fetcher, post(303), &policy).await.body, "GET Bearer s 1 ");
}

#[tokio::test]
async fn credentials_do_not_cross_origins() {
    let (first, second) = (Server::start(router()).await, Server::start(router()).await);
    let policy = policy(&[first.entry(), second.entry()]);
    let across = with_credentials(get(first.url(&format!("/to/307/{}", second.url("/end")))));
    assert_eq!(response(&fetcher(), across, &policy).await.body, "GET - 1 ");
}

#[tokio::test]
async fn a_redirect_to_a_refused_target_is_not_followed() {
    let (listed, unlisted) = (Server::start(router()).await, Server::start(router()).await);
    let names = Names::default().answering("inside.example", &[&["10.0.0.7"]]);
    let fetcher = Fetcher::new(FetchConfig { names: Some(Arc::new(names)), ..config("127.0.0.1") }).unwrap();
    let policy = policy(&[listed.entry(), "169.254.169.254".into(), "inside.example".into()]);
    for (location, expected) in [
        ("https://evil.example/x", "Domain not allowed: evil.example".to_owned()),
        ("//0x7f.2/x", "Domain not allowed: 127.0.0.2".to_owned()),
        (
            "http://169.254.169.254/latest",
            "Address not allowed: 169.254.169.254 is a metadata address".to_owned(),
        ),
        (
            "http://inside.example/",
            "Request to inside.example failed: name not found, or none of its addresses may be reached"
                .to_owned(),
        ),
        ("file:///etc/passwd", "Scheme not allowed: file (only http and https are)".to_owned()),
        (
            &format!("http://user:pass@{}/", listed.address),
            "URL not allowed: it holds a user name or password; send an Authorization header instead"
                .to_owned(),
        ),
        (
            &unlisted.url("/end"),
            format!(
                "Port not allowed: {} (ports other than 80 and 443 are listed as host:port)",
                unlisted.address
            ),
        ),
    ] {
        let url = listed.url(&format!("/to/302/{location}"));
        assert_eq!(refusal(&fetcher, get(url), &policy).await, expected);
    }
    assert_eq!(unlisted.connections(), 0);
}

#[tokio::test]
async fn an_endless_redirect_loop_ends_with_an_error() {
    let server = Server::start(router()).await;
    let fetched = fetcher().perform(get(server.url("/loop")), &policy(&[server.entry()])).await;
    assert!(
        matches!(fetched.answer, FetchAnswer::Refused { message } if message == "Too many redirects: over 20")
    );
    assert_eq!(fetched.log.len(), 21);
}

#[tokio::test]
async fn the_redirect_mode_decides_whether_redirects_are_followed() {
    let server = Server::start(router()).await;
    let (fetcher, policy) = (fetcher(), policy(&[server.entry()]));
    let mode = |redirect| FetchRequest { redirect, ..get(server.url("/to/302//end")) };
    let manual = response(&fetcher, mode(Redirect::Manual), &policy).await;
    assert_eq!((manual.status, manual.header("location")), (302, Some("/end")));
    let message = refusal(&fetcher, mode(Redirect::Error), &policy).await;
    assert_eq!(message, "Redirect refused: the request asks for none (redirect: \"error\")");
}
