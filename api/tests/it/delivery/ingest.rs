//! Ingest of events.

use super::{Queues, until};
use crate::server::Server;
use api::testing::delivery::ingest::Ingest;
use reqwest::Method;
use serde_json::{Value, json, value::RawValue};
use shared::limits::EVENT_NESTING;
use sqlx::PgPool;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use tokio::sync::Notify;
use tokio_util::sync::{CancellationToken, DropGuard};

pub(super) fn run(server: &Server, queues: &Queues) -> DropGuard {
    run_on(server.pool.clone(), queues)
}

fn run_on(pool: PgPool, queues: &Queues) -> DropGuard {
    let stop = CancellationToken::new();
    let ingest = Ingest::new(
        pool,
        queues.broker.clone(),
        queues.broker.clone(),
        queues.topology.clone(),
        Arc::new(Notify::new()),
    );
    tokio::spawn(ingest.run(stop.clone()));
    stop.drop_guard()
}

pub(super) async fn script(server: &Server) -> Value {
    server.client("demo").await.script("n", "export default ({ event }) => event").await
}

pub(super) fn event(script: &Value, key: &str) -> Value {
    json!({
        "v": 1, "idempotency_key": key, "workspace_slug": "demo", "script_id": script["id"],
        "trigger_type": "automation", "event": { "event_type": "x", "n": 1 },
    })
}

async fn executions(server: &Server) -> i64 {
    sqlx::query_scalar!(r#"SELECT count(*) AS "n!" FROM script_executions"#)
        .fetch_one(&server.pool)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_becomes_one_execution_however_often_it_comes() {
    let (server, queues) = (Server::start().await, Queues::create());
    let script = script(&server).await;
    let stop = run(&server, &queues);
    for key in ["a", "a", "b", "a"] {
        queues.publish_event(&event(&script, key).to_string()).await;
    }
    let (server, queues) = (&server, &queues);
    until("two executions", async || executions(server).await == 2).await;
    until("no event is left", async || queues.ready(&queues.topology.events).await == 0).await;
    // When it stops, its unacknowledged events return to the queue.
    drop(stop);
    assert_eq!(executions(server).await, 2);
    let rows = sqlx::query!("SELECT trigger_type, event::text AS event FROM script_executions")
        .fetch_all(&server.pool)
        .await
        .unwrap();
    for row in rows {
        assert_eq!(row.trigger_type, "automation");
        let event: Value = serde_json::from_str(&row.event.unwrap()).unwrap();
        assert_eq!(event, json!({ "event_type": "x", "n": 1 }));
    }
    let outbox =
        sqlx::query_scalar!(r#"SELECT count(*) AS "n!" FROM outbox"#).fetch_one(&server.pool).await.unwrap();
    assert_eq!(outbox, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_event_is_dead_lettered_with_its_reason() {
    let (server, queues) = (Server::start().await, Queues::create());
    let script = script(&server).await;
    let _stop = run(&server, &queues);
    let mut stranger = event(&script, "a");
    stranger["workspace_slug"] = json!("other");
    queues.publish_event("not json").await;
    queues.publish_event(&stranger.to_string()).await;
    queues.publish_event(&event(&script, "good").to_string()).await;
    let reasons: BTreeSet<String> =
        queues.until_letters(2).await.into_iter().map(|letter| letter.reason).collect();
    assert!(reasons.contains("script_id: the workspace has no such script"), "{reasons:?}");
    let server = &server;
    until("the execution of the valid event", async || executions(server).await == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_must_name_the_workspace_of_its_routing_key() {
    let (server, queues) = (Server::start().await, Queues::create());
    let script = script(&server).await;
    let _stop = run(&server, &queues);
    for (number, key) in ["other.test", "demo-2.test", "demo2.demo.test", ""].into_iter().enumerate() {
        let event = event(&script, &number.to_string());
        queues.publish_event_to(key, &event.to_string()).await;
    }
    queues.publish_event(&event(&script, "good").to_string()).await;
    for letter in queues.until_letters(4).await {
        let expected = "workspace_slug: must be the start of the routing key, up to a dot or its end";
        assert_eq!(letter.reason, expected, "{}", letter.routing_key);
    }
    let server = &server;
    until("the execution of the valid event", async || executions(server).await == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_a_workspace_with_dots_in_its_slug_are_stored() {
    let (server, queues) = (Server::start().await, Queues::create());
    let client = server.client("demo.prod.eu").await;
    let script = client.script("n", "export default ({ event }) => event").await;
    let _stop = run(&server, &queues);
    let named = |key: &str, slug: &str| {
        let mut event = event(&script, key);
        event["workspace_slug"] = json!(slug);
        event.to_string()
    };
    for key in ["demo.prod.eu.work_item.updated", "demo.prod.eu.x", "demo.prod.eu"] {
        queues.publish_event_to(key, &named(key, "demo.prod.eu")).await;
    }
    queues.publish_event_to("demo.prod.euro.x", &named("a", "demo.prod.eu")).await;
    queues.publish_event_to("demo.prod.eu.x", &named("b", "demo.prod.e")).await;
    for letter in queues.until_letters(2).await {
        let expected = "workspace_slug: must be the start of the routing key, up to a dot or its end";
        assert_eq!(letter.reason, expected, "{}", letter.routing_key);
    }
    let server = &server;
    until("the executions of the valid events", async || executions(server).await == 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_the_database_cannot_store_does_not_block_others() {
    let (server, queues) = (Server::start().await, Queues::create());
    let script = script(&server).await;
    // A database whose parser accepts fewer levels than the limit.
    let options = server.pool.connect_options().as_ref().clone().options([("max_stack_depth", "100kB")]);
    let shallow = PgPool::connect_with(options).await.unwrap();
    queues.publish_event(&event(&script, "before").to_string()).await;
    queues.publish_event(&nested(&event(&script, "deep"), 900)).await;
    queues.publish_event(&event(&script, "after").to_string()).await;
    let _stop = run_on(shallow, &queues);
    let letter = queues.until_letters(1).await.remove(0);
    assert!(letter.reason.starts_with("the database can't store it: "), "{}", letter.reason);
    let server = &server;
    until("the other two", async || executions(server).await == 2).await;
}

/// Returns the event with this many arrays around its `n`.
fn nested(event: &Value, arrays: usize) -> String {
    event.to_string().replace(r#""n":1"#, &format!(r#""n":{}1{}"#, "[".repeat(arrays), "]".repeat(arrays)))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_nested_beyond_the_limit_is_refused_by_field() {
    let (server, queues) = (Server::start().await, Queues::create());
    let script = script(&server).await;
    let _stop = run(&server, &queues);
    queues.publish_event(&nested(&event(&script, "deepest"), EVENT_NESTING - 1)).await;
    queues.publish_event(&nested(&event(&script, "deeper"), EVENT_NESTING)).await;
    queues.publish_event(&nested(&event(&script, "abyss"), 50_000)).await;
    for letter in queues.until_letters(2).await {
        assert_eq!(letter.reason, "event: may be nested at most 1000 levels deep");
    }
    let server = &server;
    until("the deepest", async || executions(server).await == 1).await;
}

/// Posts an execution with the key of an event. Returns the status, and the id or the error code.
async fn post(server: &Server, key: &str, script: &Value, event: &str) -> (u16, Value) {
    let client = server.client("demo").await;
    let request = client.request(Method::POST, "/executions/").header("idempotency-key", key);
    let body =
        format!(r#"{{ "event" : {event}, "trigger_type": "automation", "script_id": {} }}"#, script["id"]);
    let answer = request.header("content-type", "application/json").body(body).send().await.unwrap();
    let (status, text) = (answer.status().as_u16(), answer.text().await.unwrap());
    // A `Value` can't represent every event.
    let members: BTreeMap<String, Box<RawValue>> = serde_json::from_str(&text).unwrap();
    let name = if status == 202 { "id" } else { "code" };
    (status, serde_json::from_str(members[name].get()).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idempotency_key_is_shared_by_http_and_amqp() {
    let (server, queues) = (Server::start().await, Queues::create());
    let script = script(&server).await;
    let _stop = run(&server, &queues);
    // Each case: an event as published, the same event from a client, and a different one.
    let cases = [
        (r#"{"b":[1e2,"\u00e9"],"a":1}"#, r#"{ "a": 1, "b": [100.0, "é"] }"#, r#"{"a":1,"b":[1e2,"e"]}"#),
        (r#"{"a":1e400,"a":1e401}"#, r#"{"a":10e400}"#, r#"{"a":1e400}"#),
        (r#"{"\ud83d":"\u0000"}"#, r#"{ "\uD83D": "\u0000" }"#, r#"{"\ud83e":"\u0000"}"#),
        (
            r#"{"a":12345678901234567890123}"#,
            r#"{"a":12345678901234567890123}"#,
            r#"{"a":12345678901234567890124}"#,
        ),
    ];
    for (number, (published, same, other)) in cases.into_iter().enumerate() {
        let event = |key: &str| {
            format!(
                r#"{{"v":1,"idempotency_key":"{key}","workspace_slug":"demo","script_id":{},"trigger_type":"automation","event":{published}}}"#,
                script["id"]
            )
        };
        let of_key = async |key: &str| {
            sqlx::query_scalar!("SELECT execution_id FROM idempotency_keys WHERE key = $1", key)
                .fetch_optional(&server.pool)
                .await
                .unwrap()
        };
        let key = format!("amqp-{number}");
        queues.publish_event(&event(&key)).await;
        until("the execution", async || of_key(&key).await.is_some()).await;
        let first = json!(of_key(&key).await);
        assert_eq!(post(&server, &key, &script, same).await, (202, first));
        assert_eq!(post(&server, &key, &script, other).await, (409, json!("idempotency_key_reused")));

        let key = format!("http-{number}");
        let (status, first) = post(&server, &key, &script, same).await;
        assert_eq!(status, 202);
        let before = executions(&server).await;
        queues.publish_event(&event(&key)).await;
        queues.publish_event(&event(&format!("after-{key}"))).await;
        until("the execution of the next event", async || executions(&server).await > before).await;
        assert_eq!(json!(of_key(&key).await), first);
        assert_eq!(executions(&server).await, before + 1);
    }
}
