//! Plane token of a workspace, from a real control service that becomes unavailable.

use crate::endpoints::SECRET;
use axum::{Json, Router, extract::State, http::HeaderMap, response::IntoResponse, routing::get};
use reqwest::StatusCode;
use serde_json::json;
use shared::signing::{SigningKeys, WORKSPACE_HEADER};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use test_support::{Endless, HostileServer};
use tokio::{net::TcpListener, time::timeout};
use worker::testing::execution::plane_token::PlaneTokens;

async fn control_service(broken: Arc<AtomicBool>) -> String {
    let answer = async |State(broken): State<Arc<AtomicBool>>, headers: HeaderMap| {
        let workspace = headers[WORKSPACE_HEADER].to_str().unwrap();
        match (broken.load(Ordering::SeqCst), workspace) {
            (true, _) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
            (false, "without") => StatusCode::NOT_FOUND.into_response(),
            (false, _) => Json(json!({ "token": format!("token-of-{workspace}") })).into_response(),
        }
    };
    let router = Router::new().route("/api/runnerctl/control/plane-token/", get(answer)).with_state(broken);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async { axum::serve(listener, router).await });
    url
}

#[tokio::test]
async fn without_the_control_service_the_last_known_token_is_used() {
    let broken = Arc::new(AtomicBool::new(false));
    let url = control_service(Arc::clone(&broken)).await;
    let keys = Arc::new(SigningKeys::parse(SECRET).unwrap());
    // The control service is asked each time, since tokens expire at once.
    let tokens = PlaneTokens::new(Some(url.parse().unwrap()), keys).unwrap().known_for(Duration::ZERO);
    let ask = async || [tokens.get("a").await, tokens.get("b").await, tokens.get("without").await];
    let known = [Some("token-of-a".to_owned()), Some("token-of-b".to_owned()), None];
    assert_eq!(ask().await, known);
    broken.store(true, Ordering::SeqCst);
    assert_eq!(ask().await, known);
    assert_eq!(ask().await, known, "also once the failure itself is remembered");
    assert_eq!(tokens.get("never-seen").await, None);
}

#[tokio::test]
async fn an_endless_answer_of_the_control_service_is_given_up() {
    for endless in [
        Endless::Silence,
        Endless::InterimHeads,
        Endless::DrippedHead,
        Endless::TinyChunks,
        Endless::HeadLine,
    ] {
        let server = HostileServer::start(endless);
        let url = format!("http://{}/", server.address()).parse().unwrap();
        let tokens = PlaneTokens::new(Some(url), Arc::new(SigningKeys::parse(SECRET).unwrap())).unwrap();
        // The worker gives up after 2 s; the rest is for a busy machine.
        let token = timeout(Duration::from_secs(10), tokens.get("a")).await.expect("it gives up");
        assert_eq!(token, None, "{endless:?}");
    }
}
