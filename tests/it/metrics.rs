//! Metrics of executions in cases that are easy to count wrongly.

use anyhow::{Context as _, ensure};
use e2e::{client::http, program::Program, stack::Stack};
use serde_json::json;
use std::time::{Duration, Instant};

const WAITS: &str = "export async function main({ event }) {
    console.log('it runs');
    await new Promise((resolve) => setTimeout(resolve, event.ms));
}";

/// Returns the current value of a series of a program.
pub(crate) async fn series(program: &Program, name: &str) -> anyhow::Result<Option<f64>> {
    let text = http().get(format!("{}/metrics", program.url())).send().await?.text().await?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.map(|value| value.parse().context("a number")).transpose()
}

async fn until_it_runs(stack: &Stack, execution: &str) -> anyhow::Result<()> {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !stack.client.get(&format!("/executions/{execution}/logs/")).await?.to_string().contains("it runs")
    {
        ensure!(Instant::now() < deadline, "it does not run");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

#[tokio::test]
async fn an_execution_cancelled_before_it_ran_is_counted_by_the_api() -> anyhow::Result<()> {
    const CANCELLED: &str = r#"runnerctl_executions_total{status="cancelled",code="cancelled"}"#;
    let stack = Stack::start(&[("WORKER_CONCURRENCY", "1")]).await?;
    let script = stack.client.create_script("waits", WAITS).await?;
    let running = stack.client.execute(&script, json!({ "ms": 60_000 })).await?;
    until_it_runs(&stack, &running).await?;
    let queued = stack.client.execute(&script, json!({ "ms": 0 })).await?;
    for again in [1.0, 1.0] {
        let (status, answer) =
            stack.client.post(&format!("/executions/{queued}/cancel/"), &json!({})).await?;
        assert_eq!((status.as_u16(), &answer["status"]), (200, &json!("cancelled")));
        assert_eq!(series(&stack.api, CANCELLED).await?, Some(again));
    }
    // The worker that ends a running execution counts it.
    stack.client.post(&format!("/executions/{running}/cancel/"), &json!({})).await?;
    stack.client.terminal(&running, Duration::from_secs(20)).await?;
    assert_eq!(series(&stack.api, CANCELLED).await?, Some(1.0));
    let deadline = Instant::now() + Duration::from_secs(5);
    while series(&stack.worker, CANCELLED).await? != Some(1.0) {
        ensure!(Instant::now() < deadline, "the worker does not count what it ended");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

#[tokio::test]
async fn a_run_with_a_lost_lease_is_counted_as_lost_not_as_ended() -> anyhow::Result<()> {
    let stack = Stack::start(&[]).await?;
    let script = stack.client.create_script("waits", WAITS).await?;
    let execution = stack.client.execute(&script, json!({ "ms": 700 })).await?;
    until_it_runs(&stack, &execution).await?;
    let taken = sqlx::query("UPDATE script_executions SET worker_id = 'another' WHERE status = 'running'")
        .execute(&stack.database.pool().await)
        .await?;
    assert_eq!(taken.rows_affected(), 1);
    let deadline = Instant::now() + Duration::from_secs(20);
    while series(&stack.worker, "runnerctl_leases_lost_total").await? != Some(1.0) {
        ensure!(Instant::now() < deadline, "the loss is not counted");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let ended =
        series(&stack.worker, r#"runnerctl_executions_total{status="completed",code="none"}"#).await?;
    assert_eq!(ended, None);
    Ok(())
}

#[tokio::test]
async fn the_time_of_a_run_counts_as_time_of_its_slot() -> anyhow::Result<()> {
    let stack = Stack::start(&[]).await?;
    let script = stack.client.create_script("waits", WAITS).await?;
    let busy = async || {
        anyhow::Ok(series(&stack.worker, "runnerctl_slots_busy_seconds_total").await?.unwrap_or_default())
    };
    assert!(busy().await? < 1.0, "nothing has run");
    let runs = (0..2).map(|_| stack.client.execute(&script, json!({ "ms": 3_000 })));
    for execution in futures_util::future::try_join_all(runs).await? {
        stack.client.terminal(&execution, Duration::from_secs(20)).await?;
    }
    let deadline = Instant::now() + Duration::from_secs(20);
    // Two slots for three seconds each, reported with the next heartbeat.
    while busy().await? < 6.0 {
        ensure!(Instant::now() < deadline, "{} s are counted", busy().await?);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(busy().await? < 12.0, "idle slots are not counted");
    Ok(())
}
