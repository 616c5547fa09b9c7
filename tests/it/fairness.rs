//! Fairness between tenants: a flood of one does not delay the scripts of another, and none runs more than its share.

use anyhow::{Context as _, ensure};
use chrono::DateTime;
use e2e::stack::Stack;
use serde_json::{Value, json};
use std::time::Duration;

/// Script that occupies a slot for the duration of a service call.
const SLOW: &str =
    "export async function main() { await new Promise((resolve) => setTimeout(resolve, 200)); }";
/// Number of executions of the flood: ten seconds of work with two slots.
const FLOOD: usize = 100;
/// Maximum number of runs of the flood before the other tenant's: those already published to the broker, and some more.
const MAX_EARLIER_RUNS: usize = 30;

#[tokio::test]
async fn a_flood_does_not_delay_other_workspaces_or_test_runs() -> anyhow::Result<()> {
    let stack = Stack::start(&[]).await?;
    let script = stack.client.create_script("slow", SLOW).await?;
    for _ in 0..FLOOD {
        stack.client.execute(&script, json!({})).await?;
    }
    let done =
        stack.client_of_workspace("other").await?.run("only", "export function main() { return 1; }").await?;
    assert_eq!(done["result"], 1, "{done}");
    let test = json!({ "code": "export function main() { return 2; }" });
    let (status, done) = stack.client.post("/scripts/test/", &test).await?;
    ensure!(status.is_success() && done["result"] == 2, "{status} {done}");
    let waiting = stack.client.get("/executions/?status=queued&per_page=100").await?;
    let waiting = waiting["results"].as_array().map_or(0, Vec::len);
    assert!(waiting >= FLOOD - MAX_EARLIER_RUNS, "{waiting} of the flood still wait");
    Ok(())
}

#[tokio::test]
async fn runs_of_a_workspace_with_a_limit_of_one_do_not_overlap() -> anyhow::Result<()> {
    let stack = Stack::start(&[("WORKSPACE_CONCURRENCY", "1")]).await?;
    let script = stack.client.create_script("slow", SLOW).await?;
    let mut executions = Vec::new();
    for _ in 0..4 {
        executions.push(stack.client.execute(&script, json!({})).await?);
    }
    let mut spans = Vec::new();
    for execution in executions {
        let done = stack.client.terminal(&execution, Duration::from_mins(1)).await?;
        spans.push((moment(&done["started_at"])?, moment(&done["finished_at"])?));
    }
    spans.sort();
    for pair in spans.windows(2) {
        assert!(pair[0].1 <= pair[1].0, "{spans:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_paused_workspace_starts_nothing_until_it_is_resumed() -> anyhow::Result<()> {
    let stack = Stack::start(&[]).await?;
    let script = stack.client.create_script("patient", "export function main() { return 1; }").await?;
    stack.command("workspaces pause --workspace demo").await?;
    let execution = stack.client.execute(&script, json!({})).await?;
    // Others run meanwhile, after it was accepted.
    let other = stack.client_of_workspace("other").await?;
    let done = other.run("free", "export function main() { throw new Error('no'); }").await?;
    assert_eq!(done["status"], "errored", "{done}");
    assert_eq!(stack.client.get(&format!("/executions/{execution}/")).await?["status"], "queued");
    let listed = stack.command("workspaces list").await?;
    let row = |slug: &str| listed.lines().find(|line| line.starts_with(slug)).unwrap_or_default().to_owned();
    assert_eq!(row("demo"), "demo\t1\t0\t1\tas configured\tpaused", "{listed}");
    assert_eq!(row("other"), "other\t0\t0\t1\tas configured\tactive", "{listed}");

    stack.command("workspaces resume --workspace demo").await?;
    let done = stack.client.terminal(&execution, Duration::from_secs(20)).await?;
    assert_eq!((&done["status"], &done["attempt"]), (&json!("completed"), &json!(1)), "{done}");

    // Runs, errors and unfinished executions per script.
    let top = stack.command("top --by wait").await?;
    let fields: Vec<Vec<&str>> = top.lines().map(|line| line.split('\t').collect()).collect();
    let of =
        |slug: &str| fields.iter().find(|line| line[6] == slug).map(|line| (line[2..5].to_vec(), line[8]));
    assert_eq!(of("demo"), Some((vec!["1", "0", "0"], "patient")), "{top}");
    assert_eq!(of("other"), Some((vec!["1", "1", "0"], "free")), "{top}");
    assert_eq!(fields[1][6], "demo", "it has waited longest: {top}");
    Ok(())
}

fn moment(value: &Value) -> anyhow::Result<DateTime<chrono::Utc>> {
    Ok(value.as_str().context("a time")?.parse()?)
}
