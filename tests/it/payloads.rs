//! Payloads: a script reads exactly what was sent, over every way of submission.

use crate::trigger::Trigger;
use anyhow::{Context as _, ensure};
use e2e::stack::Stack;
use reqwest::{Method, StatusCode};
use serde_json::{json, value::RawValue};
use sqlx::PgPool;
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};
use test_support::{Payload, SHOW, payloads};

/// Script that shows event, context, variables and, on a schedule, the other keys of the input.
const MAIN: &str = "export function main({ event, context, ...beside }, { Variables }) {
    const { execution_id, script_id, attempt, trigger_type, ...given } = context;
    return [event, given, Variables, beside].map(show).join('\\n');
}";

/// Members of a response, as written.
type Answer = BTreeMap<String, Box<RawValue>>;

/// Returns the text of a member that is a string.
fn text(answer: &Answer, name: &str) -> anyhow::Result<String> {
    let member = answer.get(name).with_context(|| format!("no {name}"))?;
    serde_json::from_str(member.get()).with_context(|| format!("{name} is {member}"))
}

async fn send(
    stack: &Stack,
    method: Method,
    path: &str,
    body: String,
    expected: StatusCode,
) -> anyhow::Result<Answer> {
    let (status, answer) = stack.client.send_text(method.clone(), path, body).await?;
    ensure!(status == expected, "{method} {path}: {status} {answer}");
    Ok(serde_json::from_str(&answer)?)
}

async fn terminal(stack: &Stack, execution: &str) -> anyhow::Result<Answer> {
    let path = format!("/executions/{execution}/?wait=20");
    let answer = send(stack, Method::GET, &path, String::new(), StatusCode::OK).await?;
    ensure!(text(&answer, "status")? == "completed", "{answer:?}");
    Ok(answer)
}

/// Checks that row, response and script have the payload as sent.
async fn assert_seen(pool: &PgPool, answer: &Answer, payload: &Payload) -> anyhow::Result<()> {
    let id = text(answer, "id")?;
    let Payload { sent, seen } = payload;
    let shown = [seen, seen, seen, "{}"].map(String::from).join("\n");
    assert_eq!(text(answer, "result")?, shown, "what the script saw of {sent:.200}");
    for column in ["event", "context", "variables"] {
        assert_eq!(answer[column].get(), sent, "the answer's {column}");
    }
    let row: (String, String, String) = sqlx::query_as(
        "SELECT event::text, context::text, variables::text FROM script_executions WHERE id = $1::text::uuid",
    )
    .bind(&id)
    .fetch_one(pool)
    .await?;
    assert_eq!(row, (sent.clone(), sent.clone(), sent.clone()));
    Ok(())
}

/// Waits for the execution of a key and returns its id.
async fn of_key(pool: &PgPool, key: &str) -> anyhow::Result<String> {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let found: Option<String> =
            sqlx::query_scalar("SELECT execution_id::text FROM idempotency_keys WHERE key = $1")
                .bind(key)
                .fetch_optional(pool)
                .await?;
        if let Some(id) = found {
            return Ok(id);
        }
        ensure!(Instant::now() < deadline, "no execution of {key}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_script_reads_the_payload_as_sent_by_http_and_amqp() -> anyhow::Result<()> {
    let stack = Stack::start(&[]).await?;
    let (pool, trigger) = (stack.database.pool().await, Trigger::connect(&stack).await?);
    let code = format!("{SHOW}{MAIN}");
    let script = stack.client.create_script("shows", &code).await?;
    for (number, payload) in payloads().iter().enumerate() {
        let sent = &payload.sent;
        let given = format!(r#""event":{sent},"context":{sent},"variables":{sent}"#);
        let of_script = format!(r#""script_id":"{script}","trigger_type":"automation",{given}"#);
        // Over AMQP.
        let key = format!("key-{number}");
        let message = format!(r#"{{"v":1,"idempotency_key":"{key}","workspace_slug":"demo",{of_script}}}"#);
        trigger.publish_text(message, None).await?;
        let published = of_key(&pool, &key).await?;
        assert_seen(&pool, &terminal(&stack, &published).await?, payload).await?;
        // Over HTTP: a replay, a replay with the same input, and a new execution.
        let accepted = [
            (format!("/executions/{published}/replay/"), "{}".to_owned()),
            (format!("/executions/{published}/replay/"), format!("{{{given}}}")),
            ("/executions/".to_owned(), format!("{{{of_script}}}")),
        ];
        for (path, body) in accepted {
            let answer = send(&stack, Method::POST, &path, body, StatusCode::ACCEPTED).await?;
            assert_seen(&pool, &terminal(&stack, &text(&answer, "id")?).await?, payload).await?;
        }
        let code = json!(code);
        let body =
            format!(r#"{{"code":{code},"input":{{"event":{sent},"context":{sent}}},"variables":{sent}}}"#);
        let answer = send(&stack, Method::POST, "/scripts/test/", body, StatusCode::OK).await?;
        assert_seen(&pool, &answer, payload).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_run_on_a_schedule_reads_the_variables_as_sent() -> anyhow::Result<()> {
    let stack = Stack::start(&[]).await?;
    let pool = stack.database.pool().await;
    let script = stack.client.create_script("shows", &format!("{SHOW}{MAIN}")).await?;
    let draft =
        |variables: &str| format!(r#"{{"script_id":"{script}","cron":"0 0 1 1 *","variables":{variables}}}"#);
    let mut schedules = Vec::new();
    for payload in payloads() {
        let sent = &payload.sent;
        let created = send(&stack, Method::POST, "/schedules/", draft(sent), StatusCode::CREATED).await?;
        let path = format!("/schedules/{}/", text(&created, "id")?);
        let replaced = send(&stack, Method::PUT, &path, draft(sent), StatusCode::OK).await?;
        let patch = format!(r#"{{"variables":{sent}}}"#);
        let patched = send(&stack, Method::PATCH, &path, patch, StatusCode::OK).await?;
        let read = send(&stack, Method::GET, &path, String::new(), StatusCode::OK).await?;
        for answer in [created, replaced, patched, read] {
            assert_eq!(answer["variables"].get(), sent);
        }
        schedules.push((path, payload));
    }
    sqlx::query("UPDATE schedules SET next_run_at = now()").execute(&pool).await?;
    let deadline = Instant::now() + Duration::from_secs(30);
    for (path, Payload { sent, seen }) in schedules {
        let execution = loop {
            let schedule = send(&stack, Method::GET, &path, String::new(), StatusCode::OK).await?;
            if let Ok(execution) = text(&schedule, "last_execution_id") {
                break execution;
            }
            ensure!(Instant::now() < deadline, "{path} does not fire");
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        let done = terminal(&stack, &execution).await?;
        assert_eq!(done["variables"].get(), sent);
        let result = text(&done, "result")?;
        let shown: Vec<&str> = result.split('\n').skip(2).collect();
        assert_eq!(shown, [&seen, &seen], "variables, and what stands beside event and context");
    }
    Ok(())
}

#[tokio::test]
async fn huge_exponents_take_no_more_space_than_their_text() -> anyhow::Result<()> {
    let stack = Stack::start(&[]).await?;
    let pool = stack.database.pool().await;
    let code = "export function main({ event }, { Variables }) {
        return [event.n, Variables.n].map((numbers) => numbers.filter((number) => number === Infinity).length);
    }";
    let script = stack.client.create_script("counts", code).await?;
    let numbers = format!(r#"{{"n":[{}]}}"#, vec!["1e131071"; 20_000].join(","));
    let body = format!(r#"{{"script_id":"{script}","event":{numbers},"variables":{numbers}}}"#);
    let began = Instant::now();
    let accepted = send(&stack, Method::POST, "/executions/", body, StatusCode::ACCEPTED).await?;
    let done = terminal(&stack, &text(&accepted, "id")?).await?;
    let took = began.elapsed();
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert_eq!(done["result"].get(), "[20000,20000]");
    assert_eq!(done["attempt"].get(), "1");
    let peak: usize = done["memory_peak_bytes"].get().parse()?;
    assert!(peak < 64 << 20, "the run held {peak} bytes");
    let stored: i64 = sqlx::query_scalar(
        "SELECT octet_length(event::text)::bigint + octet_length(variables::text) FROM script_executions",
    )
    .fetch_one(&pool)
    .await?;
    assert_eq!(usize::try_from(stored)?, 2 * numbers.len());
    Ok(())
}
