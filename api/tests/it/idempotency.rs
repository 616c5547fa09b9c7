//! Idempotency keys of replays and test runs: one execution per key and request.

use crate::{
    client::{Answer, Client, json, send},
    server::Server,
};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

const CODE: &str = "export default () => 1";

async fn post(client: &Client, path: &str, keys: &[&str], body: &Value) -> Answer {
    let request = client.request(Method::POST, path);
    let request = keys.iter().fold(request, |request, key| request.header("idempotency-key", *key));
    send(json(request, body)).await
}

async fn executions(server: &Server) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM script_executions").fetch_one(&server.pool).await.unwrap()
}

/// Starts an execution and returns it with the path of its replays.
async fn execution(client: &Client) -> (Value, String) {
    let script = client.script("n", CODE).await;
    let execution = client.post("/executions/", json!({"script_id": script["id"]})).await.json(202);
    let path = format!("/executions/{}/replay/", execution["id"].as_str().unwrap());
    (script, path)
}

#[tokio::test]
async fn a_repeated_replay_with_one_key_creates_one_execution() {
    let server = Server::start().await;
    let client = server.client("demo").await;
    let (script, path) = execution(&client).await;
    let replay = async |body: Value| post(&client, &path, &["again"], &body).await;
    let (one, other) = tokio::join!(
        replay(json!({"event": {"a": 1, "b": [2]}})),
        replay(json!({"event": {"b": [2], "a": 1}, "version": null}))
    );
    assert_eq!(one.json(202)["id"], other.json(202)["id"]);
    for other in [
        json!({}),
        json!({"event": {"a": 1, "b": [3]}}),
        json!({"event": {"a": 1, "b": [2]}, "version": "newest"}),
        json!({"event": {"a": 1, "b": [2]}, "context": {}}),
    ] {
        assert_eq!(replay(other).await.json(409)["code"], "idempotency_key_reused");
    }
    // Over all requests of the workspace, a key stands for one.
    let body = json!({"script_id": script["id"]});
    let reused = post(&client, "/executions/", &["again"], &body).await;
    assert_eq!(reused.json(409)["code"], "idempotency_key_reused");
    assert_eq!(executions(&server).await, 2);
}

#[tokio::test]
async fn a_repeated_test_run_with_one_key_waits_for_the_first() {
    let server = Server::start_with(|config| config.http.test_run_wait = Duration::from_millis(50)).await;
    let client = server.client("demo").await;
    let test = async |body: &Value| post(&client, "/scripts/test/", &["try"], body).await;
    let body = json!({"code": CODE, "env": {"TOKEN": "one"}, "input": {"event": {"a": 1}}});
    let (one, other) = tokio::join!(test(&body), test(&body));
    let id = one.json(504)["execution_id"].clone();
    assert_eq!(id, other.json(504)["execution_id"]);
    for (pointer, value) in [("/code", json!("export default () => 2")), ("/env", json!({"OTHER": "one"}))] {
        let mut other = body.clone();
        *other.pointer_mut(pointer).unwrap() = value;
        assert_eq!(test(&other).await.json(409)["code"], "idempotency_key_reused", "{pointer}");
    }
    let id = id.as_str().unwrap().parse().unwrap();
    crate::executions::complete(&server, id).await;
    assert_eq!(test(&body).await.json(200)["status"], "completed");
    assert_eq!(executions(&server).await, 1);

    sqlx::query("DELETE FROM script_executions").execute(&server.pool).await.unwrap();
    assert_eq!(test(&body).await.json(409)["code"], "execution_expired");
}

#[tokio::test]
async fn two_keys_or_a_malformed_one_are_refused_by_name() {
    let server = Server::start().await;
    let client = server.client("demo").await;
    let (script, replay) = execution(&client).await;
    for (path, body) in [
        ("/executions/", json!({"script_id": script["id"]})),
        (&*replay, json!({})),
        ("/scripts/test/", json!({"code": CODE})),
    ] {
        let refused = async |keys: &[&str]| post(&client, path, keys, &body).await.json(400);
        assert_eq!(
            refused(&["one", "other"]).await,
            json!({"Idempotency-Key": ["May be given once."]}),
            "{path}"
        );
        assert_eq!(
            refused(&["one", "one"]).await,
            json!({"Idempotency-Key": ["May be given once."]}),
            "{path}"
        );
        let rule = "Must be 1 to 255 visible ASCII characters.";
        assert_eq!(refused(&[""]).await, json!({"Idempotency-Key": [rule]}), "{path}");
        assert_eq!(refused(&[&"x".repeat(256)]).await, json!({"Idempotency-Key": [rule]}), "{path}");
    }
    assert_eq!(executions(&server).await, 1);
}
