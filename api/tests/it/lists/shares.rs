//! Slow requests of one workspace leave connections to all other requests.

use crate::{
    client::{Answer, Client},
    executions::{complete, execute, id_of},
    server::Server,
};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

const ECHO: &str = "export default ({ event }) => event";
const MANY: usize = 24;
/// Limits the seconds of prompt answers: far above their time on a busy machine, and below the time of a slow answer.
const PROMPT: Duration = Duration::from_secs(2);

/// Sends [`MANY`] requests at once.
fn many(client: &Client, method: &Method, path: &str, body: &Value) -> JoinSet<Answer> {
    let mut requests = JoinSet::new();
    for _ in 0..MANY {
        let request = client.request(method.clone(), path);
        let request = if body.is_null() { request } else { crate::client::json(request, body) };
        requests.spawn(crate::client::send(request));
    }
    requests
}

/// Waits until a statement waits for a lock.
async fn until_something_waits(server: &Server) {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let waits: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')",
        )
        .fetch_one(&server.pool)
        .await
        .unwrap();
        if waits {
            return;
        }
        assert!(Instant::now() < deadline, "nothing waits");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Checks that another workspace is served (lists, rows and changes), and that readiness is answered.
async fn others_are_served(client: &Client, script: &Value) {
    let began = Instant::now();
    let path = format!("/scripts/{}/", script["id"].as_str().unwrap());
    for path in ["/scripts/", "/functions/", "/environment/", "/api-keys/", "/types/", "/health/", &path] {
        assert_eq!(client.get(path).await.status, 200, "{path}");
    }
    client.patch(&path, json!({"description": began.elapsed().as_nanos().to_string()})).await.json(200);
    for path in ["/readyz", "/healthz"] {
        assert_eq!(client.root(path).await.status, 200, "{path}");
    }
    assert!(began.elapsed() < PROMPT, "{:?}", began.elapsed());
}

#[tokio::test]
async fn slow_lists_of_one_workspace_do_not_block_others() {
    let server = Server::start().await;
    let (flood, other) = (server.client("flood").await, server.client("other").await);
    let script = other.script("n", ECHO).await;
    let mut lock = server.pool.begin().await.unwrap();
    sqlx::query("LOCK TABLE script_executions IN ACCESS EXCLUSIVE MODE").execute(&mut *lock).await.unwrap();

    let slow = many(&flood, &Method::GET, "/executions/?status=errored", &Value::Null);
    until_something_waits(&server).await;
    others_are_served(&other, &script).await;

    let answers = slow.join_all().await;
    let with = |status: u16, code: &str| {
        let of_code = |answer: &&Answer| answer.status == status && answer.text.contains(code);
        answers.iter().filter(of_code).inspect(|answer| assert_ne!(answer.header("retry-after"), "")).count()
    };
    let (late, busy) = (with(503, "query_timeout"), with(429, "workspace_busy"));
    assert!(late >= 1 && busy >= 1 && late + busy == MANY, "{answers:?}");

    lock.rollback().await.unwrap();
    flood.get("/executions/?status=errored").await.json(200);
}

#[tokio::test]
async fn slow_saves_of_one_workspace_do_not_block_others() {
    let server = Server::start().await;
    let (flood, other) = (server.client("flood").await, server.client("other").await);
    let script = other.script("n", ECHO).await;
    let saved = flood.script("n", ECHO).await;
    let mut lock = server.pool.begin().await.unwrap();
    sqlx::query("SELECT FROM scripts WHERE id = $1 FOR UPDATE")
        .bind(id_of(&saved))
        .execute(&mut *lock)
        .await
        .unwrap();

    let path = format!("/scripts/{}/", id_of(&saved));
    let saves = many(&flood, &Method::PATCH, &path, &json!({"description": "saved"}));
    until_something_waits(&server).await;
    others_are_served(&other, &script).await;

    lock.rollback().await.unwrap();
    for answer in saves.join_all().await {
        answer.json(200);
    }
}

#[tokio::test]
async fn readiness_and_health_use_no_pool_connection() {
    let server = Server::start().await;
    let client = server.client("demo").await;
    let mut taken = Vec::new();
    for _ in 0..server.state.pool.options().get_max_connections() {
        taken.push(server.state.pool.acquire().await.unwrap());
    }
    for _ in 0..server.state.lists.pool().options().get_max_connections() {
        taken.push(server.state.lists.pool().acquire().await.unwrap());
    }
    let began = Instant::now();
    assert_eq!(client.root("/readyz").await.status, 200);
    let health = client.bare(Method::GET, &format!("{}/api/v1/runnerctl/health/", server.address));
    assert_eq!(crate::client::send(health).await.json(200)["database"], "up");
    assert!(began.elapsed() < PROMPT, "{:?}", began.elapsed());
}

#[tokio::test]
async fn requests_that_wait_hold_no_connection() {
    let server = Server::start_with(|config| config.database.pool_size = 2).await;
    let client = server.client("demo").await;
    let script = client.script("n", ECHO).await;
    let id = id_of(&execute(&client, &script).await);
    let waits = many(&client, &Method::GET, &format!("/executions/{id}/?wait=30"), &Value::Null);
    let streams = many(&client, &Method::GET, &format!("/executions/{id}/events/"), &Value::Null);
    let deadline = Instant::now() + Duration::from_secs(20);
    while server.state.live.watchers() < 2 * MANY {
        assert!(Instant::now() < deadline, "not all wait");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let other = server.client("other").await;
    others_are_served(&other, &other.script("n", ECHO).await).await;

    complete(&server, id).await;
    for answer in waits.join_all().await {
        assert_eq!(answer.json(200)["status"], "completed");
    }
    for answer in streams.join_all().await {
        assert!(answer.text.contains("event: done"), "{}", answer.text);
    }
}
