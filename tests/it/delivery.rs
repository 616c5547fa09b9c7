//! Cancel, drain and retry from the client's side.

use anyhow::ensure;
use e2e::{client::Client, stack::Stack};
use serde_json::{Value, json};
use sqlx::PgPool;
use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    sync::Notify,
};
use tokio_util::task::AbortOnDropHandle;

/// Script that logs its attempt, then waits.
const PATIENT: &str = "export async function main({ context }) {
    console.log('attempt ' + context.attempt);
    await new Promise((resolve) => setTimeout(resolve, 15_000));
    return context.attempt;
}";
/// Script that spins, so that only the termination of the isolate ends it.
const BUSY: &str = "export function main() { console.log('attempt 1'); while (true) {} }";

/// Waits until a running run has logged a line.
async fn wait_for_line(client: &Client, execution: &str, line: &str) -> anyhow::Result<()> {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !client.get(&format!("/executions/{execution}/logs/")).await?.to_string().contains(line) {
        ensure!(Instant::now() < deadline, "{line:?} is not heard");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

async fn cancel(stack: &Stack, execution: &str) -> anyhow::Result<Duration> {
    let asked = Instant::now();
    let (status, answer) = stack.client.post(&format!("/executions/{execution}/cancel/"), &json!({})).await?;
    ensure!(status.is_success(), "{status} {answer}");
    let ended = stack.client.terminal(execution, Duration::from_secs(20)).await?;
    assert_eq!(ended["status"], "cancelled", "{ended}");
    Ok(asked.elapsed())
}

#[tokio::test]
async fn a_cancel_stops_a_waiting_or_spinning_run_within_a_second() -> anyhow::Result<()> {
    let stack = Stack::start(&[]).await?;
    for (name, code) in [("patient", PATIENT), ("busy", BUSY)] {
        let script = stack.client.create_script(name, code).await?;
        let execution = stack.client.execute(&script, json!({})).await?;
        wait_for_line(&stack.client, &execution, "attempt 1").await?;
        let took = cancel(&stack, &execution).await?;
        assert!(took < Duration::from_secs(1), "{name} was cancelled after {took:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_drain_requeues_unfinished_runs_without_using_an_attempt() -> anyhow::Result<()> {
    let stack = Stack::start(&[("DRAIN_TIMEOUT_S", "1")]).await?;
    let script = stack.client.create_script("patient", PATIENT).await?;
    let execution = stack.client.execute(&script, json!({})).await?;
    wait_for_line(&stack.client, &execution, "attempt 1").await?;
    let heir = stack.another("worker").await?;
    let asked = Instant::now();
    let status = stack.worker.drain().await?;
    assert!(status.success(), "{status}");
    assert!(asked.elapsed() < Duration::from_secs(5), "the drain took {:?}", asked.elapsed());
    let done = stack.client.terminal(&execution, Duration::from_mins(1)).await?;
    assert_eq!(
        (&done["status"], &done["result"], &done["attempt"]),
        (&json!("completed"), &json!(1), &json!(1)),
        "{done}"
    );
    drop(heir);
    Ok(())
}

#[tokio::test]
async fn a_signal_to_the_process_group_lets_runs_finish() -> anyhow::Result<()> {
    let stack = Stack::start(&[]).await?;
    let code = "export async function main({ context }) {
        console.log('attempt ' + context.attempt);
        await new Promise((resolve) => setTimeout(resolve, 3_000));
        return context.attempt;
    }";
    let script = stack.client.create_script("short", code).await?;
    let leader = stack.another_group("worker").await?;
    // Only the leader is left to take the run.
    stack.worker.drain().await?;
    let execution = stack.client.execute(&script, json!({})).await?;
    wait_for_line(&stack.client, &execution, "attempt 1").await?;
    let status = leader.drain_group().await?;
    assert!(status.success(), "{status}");
    // The worker has ended, and no other could have finished the run.
    let done = stack.client.get(&format!("/executions/{execution}/")).await?;
    assert_eq!(
        (&done["status"], &done["result"], &done["error"]),
        (&json!("completed"), &json!(1), &json!(null)),
        "{done}"
    );
    Ok(())
}

#[tokio::test]
async fn a_script_with_max_retries_runs_again_after_its_own_error() -> anyhow::Result<()> {
    let stack = Stack::start(&[]).await?;
    let script = json!({
        "name": "flaky", "code_type": "main_fn", "trigger_type": "automation", "max_retries": 1,
        "code": "export function main({ context }) {
            if (context.attempt === 1) throw new Error('the service is busy');
            return context.attempt;
        }",
    });
    let (status, script) = stack.client.post("/scripts/", &script).await?;
    ensure!(status.is_success(), "{status} {script}");
    let execution = stack.client.execute(script["id"].as_str().unwrap_or_default(), json!({})).await?;
    let done = stack.client.terminal(&execution, Duration::from_mins(1)).await?;
    assert_eq!((&done["status"], &done["result"]), (&json!("completed"), &json!(2)), "{done}");
    let lines: Vec<&str> = done["logs"].as_array().into_iter().flatten().filter_map(message).collect();
    assert!(
        lines.iter().any(|line| line.contains("the service is busy (script_error); tried again in")),
        "{lines:?}"
    );
    Ok(())
}

/// The cancel is requested while the script fails, and no notification tells the worker.
#[tokio::test]
async fn a_cancel_that_meets_a_retry_ends_the_run_at_once() -> anyhow::Result<()> {
    let stack = Stack::start(&[("SANDBOX_ALLOW_PRIVATE_NETWORK", "127.0.0.1")]).await?;
    let pool = stack.database.pool().await;
    let asked = Arc::new(Notify::new());
    let (service, _serving) = cancelling_service(pool, Arc::clone(&asked)).await?;
    let script = json!({
        "name": "flaky", "code_type": "main_fn", "trigger_type": "automation", "max_retries": 3,
        "allowed_domains": [service.to_string()],
        "code": "export async function main({ event }) {
            console.log('before');
            await fetch(event.service);
            throw new Error('the service is busy');
        }",
    });
    let (status, script) = stack.client.post("/scripts/", &script).await?;
    ensure!(status.is_success(), "{status} {script}");
    let event = json!({ "service": format!("http://{service}/") });
    let execution = stack.client.execute(script["id"].as_str().unwrap_or_default(), event).await?;
    tokio::time::timeout(Duration::from_secs(30), asked.notified()).await?;
    let began = Instant::now();
    let done = stack.client.terminal(&execution, Duration::from_mins(1)).await?;
    assert!(began.elapsed() < Duration::from_secs(5), "after {:?}: {done}", began.elapsed());
    assert_eq!((&done["status"], &done["attempt"]), (&json!("cancelled"), &json!(1)), "{done}");
    assert_eq!(done["error"]["code"], "cancelled");
    let lines: Vec<&str> = done["logs"].as_array().into_iter().flatten().filter_map(message).collect();
    let [line, request] = lines[..] else { anyhow::bail!("{lines:?}") };
    assert!(line == "before" && request.starts_with("GET 127.0.0.1:"), "{lines:?}");
    Ok(())
}

/// Starts a service that requests the cancel of every running execution before it answers.
async fn cancelling_service(
    pool: PgPool,
    asked: Arc<Notify>,
) -> anyhow::Result<(SocketAddr, AbortOnDropHandle<()>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let serving = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = [0; 1024];
            let _ = stream.read(&mut head).await;
            sqlx::query("UPDATE script_executions SET cancel_requested_at = now() WHERE status = 'running'")
                .execute(&pool)
                .await
                .expect("the database answers");
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            let _ = stream.write_all(answer).await;
            asked.notify_one();
        }
    });
    Ok((address, AbortOnDropHandle::new(serving)))
}

#[tokio::test]
async fn a_cancelled_retry_does_not_say_that_it_never_started() -> anyhow::Result<()> {
    let stack = Stack::start(&[]).await?;
    let script = json!({
        "name": "flaky", "code_type": "main_fn", "trigger_type": "automation", "max_retries": 1,
        "retry_backoff_s": 3600, "code": "export function main() { throw new Error('busy'); }",
    });
    let (status, script) = stack.client.post("/scripts/", &script).await?;
    ensure!(status.is_success(), "{status} {script}");
    let execution = stack.client.execute(script["id"].as_str().unwrap_or_default(), json!({})).await?;
    let path = format!("/executions/{execution}/");
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let execution = stack.client.get(&path).await?;
        if execution["status"] == "queued" && execution["attempt"] == 1 {
            break;
        }
        ensure!(Instant::now() < deadline, "no retry is queued: {execution}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let (status, cancelled) = stack.client.post(&format!("{path}cancel/"), &json!({})).await?;
    assert_eq!((status.as_u16(), &cancelled["status"]), (200, &json!("cancelled")), "{cancelled}");
    assert_eq!(cancelled["error"]["message"], "Cancelled while it waited for its next attempt.");
    Ok(())
}

fn message(line: &Value) -> Option<&str> {
    line["message"].as_str()
}
