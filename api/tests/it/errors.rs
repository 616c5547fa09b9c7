//! Error answers: each has its status, its shape and its reason.

use crate::{
    client::{json, send},
    server::Server,
};
use api::testing::model::api_key::Scope;
use reqwest::Method;
use serde_json::json;

#[tokio::test]
async fn requests_without_a_valid_key_are_refused() {
    let server = Server::start().await;
    let client = crate::client::Client::new(&server.address, "rctl_wrong");
    assert_eq!(client.get("/scripts/").await.json(401)["code"], "api_key_invalid");
    let bare = client.bare(Method::GET, &format!("{}/api/v1/runnerctl/scripts/", server.address));
    let answer = send(bare).await;
    assert_eq!(answer.json(401)["code"], "api_key_missing");
    assert_eq!(answer.header("www-authenticate"), "ApiKey");
}

#[tokio::test]
async fn a_key_does_what_its_scopes_say() {
    let server = Server::start().await;
    let reader = server.client_with("demo", &[Scope::Read]).await;
    reader.get("/scripts/").await.json(200);
    let refused = reader.post("/scripts/", json!({"name": "n", "code": "1"})).await;
    assert_eq!(refused.json(403)["code"], "insufficient_scope");
    let writer = server.client_with("demo", &[Scope::Write]).await;
    let refused = writer.post("/executions/", json!({})).await;
    assert_eq!(refused.json(403)["code"], "insufficient_scope");
    let greedy = writer.post("/api-keys/", json!({"name": "more", "scopes": ["execute"]})).await;
    assert_eq!(greedy.json(403)["code"], "insufficient_scope");
}

#[tokio::test]
async fn a_revoked_key_is_refused_at_once() {
    let server = Server::start().await;
    let client = server.client("demo").await;
    let created = client.post("/api-keys/", json!({"name": "short-lived"})).await.json(201);
    let key = created["key"].as_str().unwrap();
    assert!(key.starts_with(created["prefix"].as_str().unwrap()));
    let second = crate::client::Client::new(&server.address, key);
    let listed = second.get("/api-keys/").await;
    assert!(!listed.text.contains(key));
    client.delete(&format!("/api-keys/{}/", created["id"].as_str().unwrap())).await.json(204);
    assert_eq!(second.get("/scripts/").await.json(401)["code"], "api_key_invalid");
}

#[tokio::test]
async fn a_key_says_when_it_was_last_used() {
    let server = Server::start().await;
    let client = server.client("demo").await;
    let created = client.post("/api-keys/", json!({"name": "second"})).await.json(201);
    assert_eq!(created["last_used_at"], serde_json::Value::Null);
    let path = format!("/api-keys/{}/", created["id"].as_str().unwrap());
    let second = crate::client::Client::new(&server.address, created["key"].as_str().unwrap());
    second.get("/scripts/").await.json(200);
    assert!(client.get(&path).await.json(200)["last_used_at"].is_string());
}

#[tokio::test]
async fn bodies_are_refused_with_the_reason() {
    let server = Server::start().await;
    let client = server.client("demo").await;
    let post = |content_type: &str, body: String| {
        send(client.request(Method::POST, "/scripts/").header("content-type", content_type).body(body))
    };
    let json_type = "application/json; charset=utf-8";
    assert!(post(json_type, "{".into()).await.json(400)["non_field_errors"].is_array());
    assert!(post(json_type, "[]".into()).await.json(400)["non_field_errors"].is_array());
    assert_eq!(post("text/plain", "{}".into()).await.json(415)["code"], "unsupported_media_type");
    assert_eq!(post(json_type, "x".repeat(3 << 20)).await.json(413)["code"], "payload_too_large");
    let deep = format!("{{\"name\": {}{}}}", "[".repeat(100), "]".repeat(100));
    assert!(post(json_type, deep).await.text.contains("64 levels"));
    let problems =
        client.post("/scripts/", json!({"nme": "n", "code": "x\u{0}", "max_retries": "2"})).await.json(400);
    assert_eq!(problems["nme"][0], "Unknown field.");
    assert_eq!(problems["name"][0], "This field is required.");
    assert_eq!(problems["code"][0], "Must not hold the NUL character.");
    assert!(problems["max_retries"][0].as_str().unwrap().starts_with("invalid type: string"));
    let long = "x".repeat(shared::limits::CODE_BYTES + 1);
    let problems = client.post("/scripts/", json!({"name": "n", "code": long})).await.json(400);
    assert!(problems["code"][0].as_str().unwrap().starts_with("Must have 262144 bytes at most"));
}

#[tokio::test]
async fn times_that_the_database_can_t_hold_are_refused() {
    let server = Server::start().await;
    let client = server.client("demo").await;
    for field in ["created_after", "created_before"] {
        for time in ["-9999-01-01T00:00:00Z", "%2B262142-12-31T23:59:59Z", "%2B10000-01-01T00:00:00Z"] {
            let refused = client.get(&format!("/executions/?{field}={time}")).await.json(400);
            assert_eq!(refused[field][0], "Must be an RFC 3339 time of the years 0000 to 9999.", "{time}");
        }
        for time in ["0000-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"] {
            client.get(&format!("/executions/?{field}={time}")).await.json(200);
        }
    }
}

#[tokio::test]
async fn unknown_paths_and_methods_have_the_documented_shape() {
    let server = Server::start().await;
    let client = server.client("demo").await;
    assert_eq!(client.get("/nothing/").await.json(404)["code"], "not_found");
    assert_eq!(client.get("/scripts/not-a-uuid/").await.json(404)["code"], "not_found");
    let refused = client.put("/scripts/", json!({})).await;
    assert_eq!(refused.json(405)["code"], "method_not_allowed");
    assert!(refused.header("allow").contains("POST"));
}

#[tokio::test]
async fn every_answer_has_the_request_s_id() {
    let server = Server::start().await;
    let client = server.client("demo").await;
    let named = send(client.request(Method::GET, "/scripts/").header("x-request-id", "abc-1")).await;
    assert_eq!(named.header("x-request-id"), "abc-1");
    assert_eq!(client.get("/nothing/").await.header("x-request-id").len(), 36);
}

#[tokio::test]
async fn a_rate_limited_client_gets_retry_after() {
    let server = Server::start_with(|config| {
        config.http.rate_limit_per_s = 1;
        config.http.queue_quota = 1;
    })
    .await;
    let client = server.client("demo").await;
    client.get("/scripts/").await.json(200);
    client.get("/scripts/").await.json(200);
    let refused = client.get("/scripts/").await;
    assert_eq!(refused.json(429)["code"], "rate_limited");
    assert_eq!(refused.header("retry-after"), "1");
    server.client("other").await.get("/scripts/").await.json(200);
}

#[tokio::test]
async fn submissions_beyond_the_queue_quota_are_refused() {
    let server = Server::start_with(|config| config.http.queue_quota = 2).await;
    let client = server.client("demo").await;
    let script = client.script("n", "export default () => 1").await;
    let post =
        || send(json(client.request(Method::POST, "/executions/"), &json!({"script_id": script["id"]})));
    post().await.json(202);
    post().await.json(202);
    let refused = post().await;
    assert_eq!(refused.json(429)["code"], "queue_full");
    assert_eq!(refused.header("retry-after"), "5");
}
