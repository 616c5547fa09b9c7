//! Executions cancelled, replayed and followed.

use crate::{
    client::send,
    executions::{complete, execute, id_of},
    server::Server,
};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

const ECHO: &str = "export default ({ event }) => event";

async fn start(server: &Server, id: Uuid) {
    sqlx::query!(
        "UPDATE script_executions SET status = 'running', attempt = 1, started_at = now() WHERE id = $1",
        id
    )
    .execute(&server.pool)
    .await
    .unwrap();
}

#[tokio::test]
async fn a_queued_execution_is_cancelled_at_once() {
    let server = Server::start().await;
    let client = server.client("demo").await;
    let script = client.script("n", ECHO).await;
    let id = id_of(&execute(&client, &script).await);
    let path = format!("/executions/{id}/cancel/");
    let cancelled = send(client.request(Method::POST, &path)).await.json(200);
    assert_eq!(
        (&cancelled["status"], &cancelled["error"]["code"]),
        (&json!("cancelled"), &json!("cancelled"))
    );
    assert_eq!(client.post(&path, json!({})).await.json(200)["status"], "cancelled");
    let waiting = sqlx::query_scalar!("SELECT count(*) FROM outbox").fetch_one(&server.pool).await.unwrap();
    assert_eq!(waiting, Some(0));
}

#[tokio::test]
async fn cancelling_a_running_execution_requests_its_stop() {
    let server = Server::start().await;
    let client = server.client("demo").await;
    let script = client.script("n", ECHO).await;
    let id = id_of(&execute(&client, &script).await);
    start(&server, id).await;
    let mut worker = sqlx::postgres::PgListener::connect_with(&server.pool).await.unwrap();
    worker.listen("execution_cancel").await.unwrap();
    let answer = client.post(&format!("/executions/{id}/cancel/"), json!({})).await;
    assert_eq!(answer.json(202)["status"], "running");
    assert_eq!(worker.recv().await.unwrap().payload(), id.to_string());
    complete_running(&server, id).await;
    let late = client.post(&format!("/executions/{id}/cancel/"), json!({})).await;
    assert_eq!(late.json(409)["code"], "already_finished");
}

/// Stores a line of the script, like a worker.
async fn log(server: &Server, id: Uuid, seq: i32) {
    sqlx::query!(
        "WITH line AS (
             INSERT INTO execution_logs (execution_id, seq, ts, level, message) VALUES ($1, $2, now(), 'info', 'line'))
         SELECT pg_notify('execution_changed', $1::uuid::text)",
        id,
        seq
    )
    .execute(&server.pool)
    .await
    .unwrap();
}

async fn complete_running(server: &Server, id: Uuid) {
    sqlx::query!(
        "UPDATE script_executions SET status = 'completed', result = '1', finished_at = now() WHERE id = $1",
        id
    )
    .execute(&server.pool)
    .await
    .unwrap();
}

#[tokio::test]
async fn a_replay_runs_the_same_version_unless_told_otherwise() {
    let server = Server::start().await;
    let client = server.client("demo").await;
    let script = client.script("n", ECHO).await;
    let first = execute(&client, &script).await;
    let script_path = format!("/scripts/{}/", script["id"].as_str().unwrap());
    client.patch(&script_path, json!({"code": "export default () => 2"})).await.json(200);
    let path = format!("/executions/{}/replay/", id_of(&first));

    let same = send(client.request(Method::POST, &path)).await.json(202);
    assert_eq!((&same["script_version"], &same["event"]), (&json!(1), &json!({"n": 1})));
    assert_eq!(same["replay_of"], first["id"]);
    let newest = client.post(&path, json!({"version": "newest", "event": {"n": 9}})).await.json(202);
    assert_eq!((&newest["script_version"], &newest["event"]), (&json!(2), &json!({"n": 9})));
    assert_eq!(client.post(&path, json!({"version": 2})).await.json(202)["script_version"], 2);
    let refused = client.post(&path, json!({"version": 7})).await.json(400);
    assert!(refused["version"][0].as_str().unwrap().contains("no such version"));
    client.delete(&script_path).await.json(204);
    assert_eq!(client.post(&path, json!({})).await.json(202)["script_version"], 1);
    client.post(&path, json!({"version": "newest"})).await.json(400);
}

/// Reads events up to the first one named `last`, or to the end.
async fn events(response: &mut reqwest::Response, last: &str) -> Vec<(String, String, Value)> {
    let mut text = String::new();
    while let Some(chunk) = response.chunk().await.unwrap() {
        text.push_str(std::str::from_utf8(&chunk).unwrap());
        if text.contains(&format!("event: {last}\n")) && text.ends_with("\n\n") {
            break;
        }
    }
    let field = |block: &str, name: &str| {
        block.lines().find_map(|line| line.strip_prefix(&format!("{name}: "))).unwrap_or_default().to_owned()
    };
    let blocks = text.split("\n\n").filter(|block| block.contains("event: "));
    blocks
        .map(|block| {
            (field(block, "event"), field(block, "id"), serde_json::from_str(&field(block, "data")).unwrap())
        })
        .collect()
}

#[tokio::test]
async fn events_follow_an_execution_and_resume() {
    let server = Server::start().await;
    let client = server.client("demo").await;
    let script = client.script("n", ECHO).await;
    let id = id_of(&execute(&client, &script).await);
    let path = format!("/executions/{id}/events/");
    let follow = |last: Option<&str>| {
        let request = client.request(Method::GET, &path);
        match last {
            Some(last) => request.header("last-event-id", last).send(),
            None => request.send(),
        }
    };
    let mut stream = follow(None).await.unwrap();
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    let begun = events(&mut stream, "status").await;
    assert_eq!(begun, [("status".into(), "0-queued".into(), json!({"status": "queued", "attempt": 0}))]);
    complete(&server, id).await;
    let rest = events(&mut stream, "done").await;
    let names: Vec<&str> = rest.iter().map(|(name, ..)| name.as_str()).collect();
    assert!(names.ends_with(&["log", "done"]), "{names:?}");
    let (_, last_id, done) = rest.last().unwrap();
    assert_eq!((last_id.as_str(), &done["result"]), ("1-completed", &json!({"n": 1})));
    assert_eq!(stream.chunk().await.unwrap(), None, "the stream ends with the execution");

    assert_eq!(follow(Some("1-completed")).await.unwrap().status(), 204);
    let resumed = events(&mut follow(Some("0-queued")).await.unwrap(), "done").await;
    assert_eq!(resumed.iter().map(|(name, ..)| name.as_str()).collect::<Vec<_>>(), ["log", "done"]);
    let whole = events(&mut follow(None).await.unwrap(), "done").await;
    assert_eq!(whole[0].2["message"], "hello");
}

#[tokio::test]
async fn event_streams_take_turns_at_the_database() {
    let server = Server::start().await;
    let client = server.client("demo").await;
    let script = client.script("n", ECHO).await;
    let id = id_of(&execute(&client, &script).await);
    let path = format!("/executions/{id}/events/");
    let mut stream = client.request(Method::GET, &path).send().await.unwrap();
    events(&mut stream, "status").await;
    let mut turns = Vec::new();
    for _ in 0..api::testing::live::READERS {
        turns.push(server.state.live.acquire_reader().await);
    }
    let mut watch = server.state.live.watch(id);
    complete(&server, id).await;
    watch.terminal().await;
    let early = tokio::time::timeout(std::time::Duration::from_millis(100), stream.chunk()).await;
    assert!(early.is_err(), "{early:?} although others read");
    drop(turns);
    assert_eq!(events(&mut stream, "done").await.last().unwrap().0, "done");
}

#[tokio::test]
async fn five_hundred_waiters_cost_no_query_each() {
    const CHANGES: u32 = 20;
    let (server, database) = Server::start_behind_link().await;
    let client = server.client("demo").await;
    let script = client.script("n", ECHO).await;
    let id = id_of(&execute(&client, &script).await);
    let path = format!("/executions/{id}/?wait=60");
    let waiters: Vec<_> = (0..500)
        .map(|_| {
            let (client, path) = (client.clone(), path.clone());
            tokio::spawn(async move { client.get(&path).await.json(200)["status"].clone() })
        })
        .collect();
    while server.state.live.watchers() < 500 {
        tokio::task::yield_now().await;
    }
    // The pool is fair: once this answer is here, the waiters have read the progress there was when they came.
    client.get(&format!("/executions/{id}/")).await.json(200);
    let carried = database.carried();
    let mut watch = server.state.live.watch(id);
    for seq in 1..=CHANGES {
        log(&server, id, seq.cast_signed()).await;
        assert_eq!(watch.changed().await.unwrap().last_seq, seq.cast_signed());
    }
    drop(watch);
    let per_change = (database.carried() - carried) / u64::from(CHANGES);
    // All of them cost one notification and one query; a query for each would cost a hundred times as much.
    assert!(per_change < 2_000, "{per_change} bytes between api and database for one change");

    complete_running(&server, id).await;
    sqlx::query!("SELECT pg_notify('execution_changed', $1)", id.to_string())
        .execute(&server.pool)
        .await
        .unwrap();
    for waiter in waiters {
        assert_eq!(waiter.await.unwrap(), "completed");
    }
    assert_eq!(server.state.live.watchers(), 0);
}

#[tokio::test]
async fn a_test_run_goes_first_and_answers_when_it_is_over() {
    let server = Server::start().await;
    let client = server.client("demo").await;
    let body =
        json!({"code": "export default () => 1", "input": {"event": {"n": 1}}, "env": {"KEY": "value"}});
    let run = tokio::spawn({
        let client = client.clone();
        async move { client.post("/scripts/test/", body).await }
    });
    let row = loop {
        let row = sqlx::query!("SELECT execution_id, priority FROM outbox")
            .fetch_optional(&server.pool)
            .await
            .unwrap();
        if let Some(row) = row {
            break row;
        }
    };
    assert!(row.priority > shared::delivery::priority::BACKGROUND);
    complete(&server, row.execution_id).await;
    let execution = run.await.unwrap().json(200);
    assert_eq!((&execution["trigger_type"], &execution["script_id"]), (&json!("test"), &Value::Null));
    assert_eq!(execution["logs"][0]["message"], "hello");

    let broken = client.post("/scripts/test/", json!({"code": "export default ("})).await.json(400);
    assert_eq!(broken["diagnostics"][0]["severity"], "error");
}

#[tokio::test]
async fn a_test_run_that_outlives_the_request_is_named() {
    let server =
        Server::start_with(|config| config.http.test_run_wait = std::time::Duration::from_millis(50)).await;
    let client = server.client("demo").await;
    let late = client.post("/scripts/test/", json!({"code": "export default () => 1"})).await.json(504);
    assert_eq!(late["code"], "still_running");
    let path = format!("/executions/{}/", late["execution_id"].as_str().unwrap());
    assert_eq!(client.get(&path).await.json(200)["status"], "queued");
}
