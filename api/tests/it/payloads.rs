//! JSON from users: stored as it was sent, or rejected by field and rule.

use crate::{client::Client, server::Server};
use reqwest::Method;
use serde_json::{Value, json, value::RawValue};
use shared::limits::INPUT_BYTES;
use std::collections::BTreeMap;
use test_support::payloads;

/// Returns status and members of an answer as they are written. It is not checked against the document: that check
/// reads numbers as doubles.
async fn send(
    client: &Client,
    method: Method,
    path: &str,
    body: &str,
) -> (u16, BTreeMap<String, Box<RawValue>>) {
    let request = client.request(method, path).header("content-type", "application/json");
    let answer = request.body(body.to_owned()).send().await.unwrap();
    let status = answer.status().as_u16();
    (status, serde_json::from_str(&answer.text().await.unwrap()).unwrap())
}

#[tokio::test]
async fn a_replay_keeps_any_payload_unchanged() {
    let server = Server::start().await;
    let client = server.client("demo").await;
    let script = client.script("n", "export default () => 1").await;
    for payload in payloads() {
        let sent = &payload.sent;
        let id = &script["id"];
        let body = format!(r#"{{"script_id":{id},"event":{sent},"context":{sent},"variables":{sent}}}"#);
        let (status, created) = send(&client, Method::POST, "/executions/", &body).await;
        assert_eq!(status, 202, "{created:?}");
        let id: String = serde_json::from_str(created["id"].get()).unwrap();
        let (status, replayed) =
            send(&client, Method::POST, &format!("/executions/{id}/replay/"), "{}").await;
        assert_eq!(status, 202, "{replayed:?}");
        let (_, read) = send(&client, Method::GET, &format!("/executions/{id}/"), "").await;
        for answer in [created, replayed, read] {
            for column in ["event", "context", "variables"] {
                assert_eq!(answer[column].get(), sent);
            }
        }
    }
}

#[tokio::test]
async fn defaults_are_added_to_variables_kept_as_sent() {
    let server = Server::start().await;
    let client = server.client("demo").await;
    let variables = json!([{"key": "greeting", "default": "hello"}, {"key": "n", "default": 7}]);
    let body = json!({"name": "n", "code": "export default () => 1", "variables": variables});
    let id = &client.post("/scripts/", body).await.json(201)["id"];
    let body = format!(r#"{{"script_id":{id},"variables":{{"z":1e400,"n":null,"\ud83d":-0}}}}"#);
    let (_, created) = send(&client, Method::POST, "/executions/", &body).await;
    assert_eq!(created["variables"].get(), r#"{"z":1e400,"n":7,"\ud83d":-0,"greeting":"hello"}"#);
}

#[tokio::test]
async fn an_unacceptable_payload_is_refused_by_field_and_rule() {
    let server = Server::start().await;
    let client = server.client("demo").await;
    let script = client.script("n", "export default () => 1").await;
    let id = &script["id"];
    let execution = format!(r#""script_id":{id}"#);
    let schedule = format!(r#"{execution},"cron":"0 9 * * *""#);
    let created = client.post("/schedules/", json!({"script_id": id, "cron": "0 9 * * *"})).await.json(201);
    let schedules = format!("/schedules/{}/", created["id"].as_str().unwrap());
    let run = client.post("/executions/", json!({"script_id": id})).await.json(202);
    let replay = format!("/executions/{}/replay/", run["id"].as_str().unwrap());
    let (nul, half) = (r#""a\u0000b""#, r#""a\ud83d""#);
    let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    let large = format!(r#"{{"a":"{}"}}"#, "x".repeat(INPUT_BYTES));
    let definition =
        |default: &str| format!(r#""name":"v","code":"1","variables":[{{"key":"k","default":{default}}}]"#);
    let (post, put, patch) = (Method::POST, Method::PUT, Method::PATCH);
    let cases = [
        (&post, "/executions/", format!(r#"{execution},"event":{deep}"#), "event", "64 levels"),
        (&post, "/executions/", format!(r#"{execution},"context":{large}"#), "event", "262144 bytes"),
        (&post, "/executions/", format!(r#"{execution},"variables":{large}"#), "variables", "262144 bytes"),
        (&post, "/executions/", format!(r#"{execution},"trigger_type":{half}"#), "trigger_type", "surrogate"),
        (&post, &replay, format!(r#""variables":{deep}"#), "variables", "64 levels"),
        (&post, &replay, format!(r#""context":{large}"#), "context", "262144 bytes"),
        (&post, "/scripts/test/", format!(r#""code":"1","input":{{"event":{deep}}}"#), "input", "64 levels"),
        (&post, "/scripts/test/", format!(r#""code":{half}"#), "code", "surrogate"),
        (&post, "/scripts/test/", format!(r#""code":"1","env":{{"K":{nul}}}"#), "env", "NUL"),
        (&post, "/scripts/test/", format!(r#""code":"1","env":{{"K":{half}}}"#), "env", "surrogate"),
        (&post, "/schedules/", format!(r#"{schedule},"variables":{deep}"#), "variables", "64 levels"),
        (&post, "/schedules/", format!(r#"{schedule},"timezone":{nul}"#), "timezone", "NUL"),
        (&put, &schedules, format!(r#"{schedule},"variables":{large}"#), "variables", "262144 bytes"),
        (&patch, &schedules, format!(r#""variables":{deep}"#), "variables", "64 levels"),
        (&patch, &schedules, format!(r#""cron":{half}"#), "cron", "surrogate"),
        (&put, "/environment/K/", format!(r#""value":{nul}"#), "value", "NUL"),
        (&put, "/environment/K/", format!(r#""value":{half}"#), "value", "surrogate"),
        (&put, "/environment/K/", r#""value":1e400"#.to_owned(), "value", "out of range"),
        (&post, "/scripts/", definition(nul), "variables", "NUL"),
        (&post, "/scripts/", definition(half), "variables", "surrogate"),
        (&post, "/scripts/", definition("1e400"), "variables", "out of range"),
        (
            &post,
            "/scripts/",
            definition(&format!("[{}0]", "1e300,".repeat(1_000))),
            "variables",
            "262144 bytes",
        ),
    ];
    for (method, path, members, field, rule) in cases {
        let (status, answer) = send(&client, method.clone(), path, &format!("{{{members}}}")).await;
        assert_eq!(status, 400, "{method} {path} {members:.80}: {answer:?}");
        let messages = answer.get(field).unwrap_or_else(|| panic!("{field} in {answer:?}"));
        assert!(messages.get().contains(rule), "{rule} in {messages}");
    }
}

#[tokio::test]
async fn a_replay_of_old_and_new_input_respects_the_limit() {
    let server = Server::start().await;
    let client = server.client("demo").await;
    let script = client.script("n", "export default () => 1").await;
    let half = json!({"a": "x".repeat(INPUT_BYTES / 2)});
    let body = json!({"script_id": script["id"], "event": half});
    let run = client.post("/executions/", body).await.json(202);
    let replay = format!("/executions/{}/replay/", run["id"].as_str().unwrap());
    let refused = |answer: Value, field: &str| {
        let messages = answer[field].as_array().unwrap().clone();
        assert!(
            messages[0].as_str().unwrap().starts_with("event and context together may have 262144 bytes")
        );
    };
    refused(client.post(&replay, json!({"context": half})).await.json(400), "context");
    refused(client.post(&replay, json!({"event": half, "context": half})).await.json(400), "event");
    client.post(&replay, json!({"event": {}, "context": half})).await.json(202);
    client.post(&replay, json!({})).await.json(202);
}
