//! Executions: accepted without a broker, once per key, and waited for.

use crate::{
    client::{Client, json, send},
    server::Server,
};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use uuid::Uuid;

const ECHO: &str = "export default ({ event }) => event";

pub(crate) async fn execute(client: &Client, script: &Value) -> Value {
    client.post("/executions/", json!({"script_id": script["id"], "event": {"n": 1}})).await.json(202)
}

pub(crate) fn id_of(value: &Value) -> Uuid {
    value["id"].as_str().unwrap().parse().unwrap()
}

/// Completes an execution by the statements of a worker that matter here.
pub(crate) async fn complete(server: &Server, id: Uuid) {
    sqlx::query!("UPDATE script_executions SET status = 'running', attempt = attempt + 1, started_at = now() WHERE id = $1", id)
        .execute(&server.pool)
        .await
        .unwrap();
    sqlx::query!(
        "INSERT INTO execution_logs (execution_id, seq, ts, level, message) VALUES ($1, 1, now(), 'info', 'hello')",
        id
    )
    .execute(&server.pool)
    .await
    .unwrap();
    sqlx::query!(
        "UPDATE script_executions SET status = 'completed', result = '{\"n\":1}', finished_at = now(),
                init_ms = 1.4, run_ms = 2.3, queue_ms = 3 WHERE id = $1",
        id
    )
    .execute(&server.pool)
    .await
    .unwrap();
    sqlx::query!("SELECT pg_notify('execution_changed', $1)", id.to_string())
        .execute(&server.pool)
        .await
        .unwrap();
}

#[tokio::test]
async fn an_execution_is_accepted_with_its_outbox_row() {
    let server = Server::start().await;
    let client = server.client("demo").await;
    let script = client.script("n", ECHO).await;
    let execution = execute(&client, &script).await;
    assert_eq!(execution["status"], "queued");
    assert_eq!(execution["script_version"], 1);
    assert_eq!(execution["trigger_type"], "api");
    assert_eq!(execution["event"], json!({"n": 1}));
    assert_eq!(execution["logs"], json!([]));
    assert_eq!(
        execution["phases"],
        json!({"queue_ms": null, "init_ms": null, "run_ms": null, "persist_ms": null})
    );
    let waiting =
        sqlx::query_scalar!("SELECT count(*) FROM outbox WHERE execution_id = $1", id_of(&execution))
            .fetch_one(&server.pool)
            .await
            .unwrap();
    assert_eq!(waiting, Some(1));
}

#[tokio::test]
async fn the_answer_to_a_new_execution_is_what_reading_it_gives() {
    let server = Server::start().await;
    let client = server.client("demo").await;
    let script = client.script("n", ECHO).await;
    let body =
        json!({"script_id": script["id"], "event": {"b": 1, "a": [1.50, "é"]}, "context": {"c": null}});
    let created = client.post("/executions/", body).await.json(202);
    let read = |id: &Value| format!("/executions/{}/", id.as_str().unwrap());
    assert_eq!(client.get(&read(&created["id"])).await.json(200), created);

    let replay = format!("{}replay/", read(&created["id"]));
    let replayed = client.post(&replay, json!({})).await.json(202);
    assert_eq!(replayed["replay_of"], created["id"]);
    assert_eq!(client.get(&read(&replayed["id"])).await.json(200), replayed);
}

#[tokio::test]
async fn an_unknown_script_is_not_found() {
    let server = Server::start().await;
    let client = server.client("demo").await;
    let answer = client.post("/executions/", json!({"script_id": Uuid::now_v7()})).await;
    assert_eq!(answer.json(404)["code"], "not_found");
}

#[tokio::test]
async fn required_variables_are_refused_by_name() {
    let server = Server::start().await;
    let client = server.client("demo").await;
    let variables = json!([{"key": "url", "required": true}, {"key": "n", "default": 7}]);
    let body = json!({"name": "n", "code": ECHO, "variables": variables});
    let script = client.post("/scripts/", body).await.json(201);
    let refused = client.post("/executions/", json!({"script_id": script["id"]})).await.json(400);
    assert_eq!(refused, json!({"variables": ["url: This variable is required."]}));
    let body = json!({"script_id": script["id"], "variables": {"url": "https://example.com"}});
    let execution = client.post("/executions/", body).await.json(202);
    assert_eq!(execution["variables"], json!({"n": 7, "url": "https://example.com"}));
}

/// The script that the api cached at the execution before must not run again.
#[tokio::test]
async fn a_change_of_the_script_counts_from_the_next_execution_on() {
    let server = Server::start().await;
    let client = server.client("demo").await;
    let script = client.script("n", ECHO).await;
    let path = format!("/scripts/{}/", script["id"].as_str().unwrap());
    let run = || client.post("/executions/", json!({"script_id": script["id"]}));
    assert_eq!(run().await.json(202)["script_version"], 1);
    assert_eq!(run().await.json(202)["script_version"], 1);

    client.patch(&path, json!({"code": "export default () => 2"})).await.json(200);
    assert_eq!(run().await.json(202)["script_version"], 2);

    // This change is not made through the api.
    let domains = ["example.com".to_owned()];
    sqlx::query!("UPDATE scripts SET allowed_domains = $1", &domains[..])
        .execute(&server.pool)
        .await
        .unwrap();
    let execution = run().await.json(202);
    let stored =
        sqlx::query_scalar!("SELECT allowed_domains FROM script_executions WHERE id = $1", id_of(&execution))
            .fetch_one(&server.pool)
            .await
            .unwrap();
    assert_eq!(stored, domains);

    client.patch(&path, json!({"variables": [{"key": "url", "required": true}]})).await.json(200);
    assert_eq!(run().await.json(400), json!({"variables": ["url: This variable is required."]}));
    client.patch(&path, json!({"variables": []})).await.json(200);
    run().await.json(202);

    client.delete(&path).await.json(204);
    run().await.json(404);
}

#[tokio::test]
async fn a_new_idempotency_key_runs_a_changed_script_once() {
    let server = Server::start().await;
    let client = server.client("demo").await;
    let script = client.script("n", ECHO).await;
    execute(&client, &script).await;
    let path = format!("/scripts/{}/", script["id"].as_str().unwrap());
    client.patch(&path, json!({"code": "export default () => 2"})).await.json(200);
    let post = || {
        let request = client.request(Method::POST, "/executions/").header("idempotency-key", "order-8");
        send(json(request, &json!({"script_id": script["id"]})))
    };
    let (first, second) = (post().await.json(202), post().await.json(202));
    assert_eq!(first["script_version"], 2);
    assert_eq!(first["id"], second["id"]);
    let page = client.get("/executions/").await.json(200);
    assert_eq!(page["results"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn an_idempotency_key_creates_one_execution() {
    let server = Server::start().await;
    let client = server.client("demo").await;
    let script = client.script("n", ECHO).await;
    let post = |event: Value| {
        let request = client.request(Method::POST, "/executions/").header("idempotency-key", "order-7");
        send(json(request, &json!({"script_id": script["id"], "event": event})))
    };
    let (first, second) = tokio::join!(post(json!({"n": 1})), post(json!({"n": 1})));
    assert_eq!(first.json(202)["id"], second.json(202)["id"]);
    assert_eq!(post(json!({"n": 2})).await.json(409)["code"], "idempotency_key_reused");
    let rows =
        sqlx::query_scalar!("SELECT count(*) FROM script_executions").fetch_one(&server.pool).await.unwrap();
    assert_eq!(rows, Some(1));
}

#[tokio::test]
async fn a_repeated_key_is_answered_despite_full_queue_or_lost_script() {
    let server = Server::start_with(|config| config.http.queue_quota = 1).await;
    let client = server.client("demo").await;
    let script = client.script("n", ECHO).await;
    let post = |key: &str| {
        let request = client.request(Method::POST, "/executions/").header("idempotency-key", key);
        send(json(request, &json!({"script_id": script["id"]})))
    };
    let first = post("one").await.json(202);
    assert_eq!(post("two").await.json(429)["code"], "queue_full");
    assert_eq!(post("one").await.json(202)["id"], first["id"]);
    client.delete(&format!("/scripts/{}/", script["id"].as_str().unwrap())).await.json(204);
    assert_eq!(post("one").await.json(202)["id"], first["id"]);
    assert_eq!(post("three").await.status, 404);
    assert_eq!(post(&"x".repeat(256)).await.json(400)["Idempotency-Key"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_refused_submission_does_not_count_toward_the_queue_quota() {
    let server = Server::start_with(|config| config.http.queue_quota = 1).await;
    let client = server.client("demo").await;
    let body = json!({"name": "n", "code": ECHO, "variables": [{"key": "url", "required": true}]});
    let script = client.post("/scripts/", body).await.json(201);
    for _ in 0..3 {
        client.post("/executions/", json!({"script_id": script["id"]})).await.json(400);
        client.post("/executions/", json!({"script_id": Uuid::now_v7()})).await.json(404);
    }
    let body = json!({"script_id": script["id"], "variables": {"url": "https://example.com"}});
    client.post("/executions/", body.clone()).await.json(202);
    assert_eq!(client.post("/executions/", body).await.json(429)["code"], "queue_full");
}

#[tokio::test]
async fn waiting_ends_when_the_execution_does() {
    let server = Server::start().await;
    let client = server.client("demo").await;
    let script = client.script("n", ECHO).await;
    let execution = execute(&client, &script).await;
    let id = id_of(&execution);
    let path = format!("/executions/{id}/?wait=30");
    let began = Instant::now();
    let waiting = tokio::spawn({
        let (client, path) = (client.clone(), path.clone());
        async move { client.get(&path).await.json(200) }
    });
    complete(&server, id).await;
    let done = waiting.await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert_eq!(done["status"], "completed");
    assert_eq!(done["result"], json!({"n": 1}));
    assert_eq!(done["duration_ms"], 4);
    assert_eq!(done["logs"][0]["message"], "hello");
    assert_eq!(done["error"], Value::Null);
}

#[tokio::test]
async fn an_unchanged_execution_is_answered_304() {
    let server = Server::start().await;
    let client = server.client("demo").await;
    let script = client.script("n", ECHO).await;
    let execution = execute(&client, &script).await;
    let path = format!("/executions/{}/", id_of(&execution));
    let tag = client.get(&path).await.header("etag").to_owned();
    let poll = || send(client.request(Method::GET, &path).header("if-none-match", &tag));
    assert_eq!(poll().await.status, 304);
    complete(&server, id_of(&execution)).await;
    assert_eq!(poll().await.json(200)["status"], "completed");
}

#[tokio::test]
async fn lists_filter_by_script_status_trigger_and_time() {
    let server = Server::start().await;
    let client = server.client("demo").await;
    let (one, two) = (client.script("one", ECHO).await, client.script("two", ECHO).await);
    let first = execute(&client, &one).await;
    complete(&server, id_of(&first)).await;
    let second = execute(&client, &two).await;
    let ids = |page: Value| -> Vec<Value> {
        page["results"].as_array().unwrap().iter().map(|execution| execution["id"].clone()).collect()
    };
    let list = async |query: &str| ids(client.get(&format!("/executions/?{query}")).await.json(200));
    let (first_id, second_id) = (first["id"].clone(), second["id"].clone());
    assert_eq!(list("").await, [second_id.clone(), first_id.clone()]);
    assert_eq!(list("status=completed").await, std::slice::from_ref(&first_id));
    assert_eq!(list(&format!("script_id={}", two["id"].as_str().unwrap())).await, [second_id]);
    assert_eq!(list("trigger_type=cron").await, [] as [Value; 0]);
    assert_eq!(list("created_after=2999-01-01T00:00:00Z").await, [] as [Value; 0]);
    assert_eq!(list("created_before=2999-01-01T00:00:00Z&status=completed").await, [first_id]);
}

#[tokio::test]
async fn log_lines_are_read_after_a_number() {
    let server = Server::start().await;
    let client = server.client("demo").await;
    let script = client.script("n", ECHO).await;
    let execution = execute(&client, &script).await;
    complete(&server, id_of(&execution)).await;
    let path = format!("/executions/{}/logs/", id_of(&execution));
    let all = client.get(&path).await.json(200);
    assert_eq!((&all["results"][0]["seq"], &all["results"][0]["level"]), (&json!(1), &json!("info")));
    assert_eq!(client.get(&format!("{path}?after=1")).await.json(200)["results"], json!([]));
}
