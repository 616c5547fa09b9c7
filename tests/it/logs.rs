//! Log lines for operators: each is JSON with the execution's id, and has no code, input or output of scripts.

use crate::{metrics::series, trigger::Trigger};
use anyhow::{Context as _, ensure};
use e2e::{program::Program, stack::Stack};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// Markers, one for each place where a script's data can be.
const MARKERS: [&str; 10] = [
    "marker-code",
    "marker-function",
    "marker-event",
    "marker-variable",
    "marker-environment",
    "marker-console",
    "marker-error",
    "marker-address",
    "marker-malformed",
    "marker-refused",
];

const CODE: &str = r#"
export async function main({ event }, { ENV, Variables, Functions }) {
    const own = "marker-code";
    console.log(own, "marker-console", event.text, Variables.text, ENV.TOKEN);
    console.error(await Functions.shout({ text: ENV.TOKEN }));
    await fetch("http://169.254.169.254/marker-code").catch((error) => console.warn(error));
    await fetch("http://127.0.0.1:9/marker-address").catch((error) => console.warn(error));
    if (event.fail) throw new Error("marker-error " + event.text);
    return [own, event, Variables, ENV.TOKEN];
}"#;

fn lines(program: &Program) -> anyhow::Result<Vec<Value>> {
    program.log_text().lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

#[tokio::test]
async fn operator_logs_hold_no_script_data_at_any_level() -> anyhow::Result<()> {
    let settings =
        [("LOG_FORMAT", "json"), ("LOG_LEVEL", "trace"), ("SANDBOX_ALLOW_PRIVATE_NETWORK", "127.0.0.1/32")];
    let stack = Stack::start(&settings).await?;
    let client = &stack.client;
    let token = json!({ "value": "marker-environment" }).to_string();
    let (status, answer) = client.send(Method::PUT, "/environment/TOKEN/", token).await?;
    ensure!(status.is_success(), "{answer}");
    let function = json!({
        "name": "shout", "parameters": [{ "name": "text" }],
        "code": "function shout({ text }) { return 'marker-function' + text; }",
    });
    let (status, answer) = client.post("/functions/", &function).await?;
    ensure!(status.is_success(), "{answer}");
    let script = client.create_script("marked", CODE).await?;
    // Port 9 of loopback: the connection is refused, and the request fails.
    let allowed = json!({ "allowed_domains": ["127.0.0.1:9"] }).to_string();
    let (status, answer) = client.send(Method::PATCH, &format!("/scripts/{script}/"), allowed).await?;
    ensure!(status.is_success(), "{answer}");

    let mut executions = Vec::new();
    for fail in [false, true] {
        let asked = json!({
            "script_id": script, "trigger_type": "automation",
            "event": { "text": "marker-event", "fail": fail }, "variables": { "text": "marker-variable" },
        });
        let (status, answer) = client.post("/executions/", &asked).await?;
        ensure!(status.is_success(), "{answer}");
        let id = answer["id"].as_str().unwrap_or_default().to_owned();
        let done = client.terminal(&id, Duration::from_secs(30)).await?;
        assert!(done["logs"].to_string().contains("marker-console"), "the script ran: {done}");
        executions.push((id, if fail { "errored" } else { "completed" }));
    }
    let refused =
        json!({ "name": "half", "code_type": "main_fn", "trigger_type": "cron", "code": "marker-refused (" });
    assert_eq!(client.post("/scripts/", &refused).await?.0, 400);
    let trigger = Trigger::connect(&stack).await?;
    trigger.publish_text(r#"{"marker-malformed": true}"#.to_owned(), None).await?;
    let deadline = Instant::now() + Duration::from_secs(20);
    while !stack.api.log_text().contains("an event that can't be ingested") {
        ensure!(Instant::now() < deadline, "the malformed event is not told:\n{}", stack.api.log_text());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    let told = lines(&stack.worker)?;
    for (id, status) in executions {
        let ended = told
            .iter()
            .find(|line| line["message"] == "ended" && line["span"]["execution.id"] == id.as_str());
        assert_eq!(ended.map(|line| &line["status"]), Some(&json!(status)), "{id} ended");
        let span = ended.map(|line| (&line["span"]["script.id"], line["span"]["workspace.id"].is_string()));
        assert_eq!(span, Some((&json!(script), true)), "{ended:?}");
    }
    ensure!(!lines(&stack.api)?.is_empty());
    for (name, log) in [("api", stack.api.log_text()), ("worker", stack.worker.log_text())] {
        for marker in MARKERS {
            let leak = log.lines().find(|line| line.contains(marker));
            assert_eq!(leak, None, "{name} tells {marker}");
        }
    }
    Ok(())
}

/// Publishes a message for an execution that is over, which the worker logs only at `debug`. Waits until it is settled.
async fn dispatch_again(stack: &Stack, trigger: &Trigger, id: Uuid) -> anyhow::Result<()> {
    let settled = "runnerctl_deliveries_total{settled=\"ack\"}";
    let before = series(&stack.worker, settled).await?.unwrap_or_default();
    trigger.dispatch(id).await?;
    let deadline = Instant::now() + Duration::from_secs(20);
    while series(&stack.worker, settled).await?.unwrap_or_default() <= before {
        ensure!(Instant::now() < deadline, "the message is not settled");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

async fn toggle(program: &Program, times: usize) -> anyhow::Result<()> {
    program.signal("USR1")?;
    let deadline = Instant::now() + Duration::from_secs(20);
    while program.log_text().matches("log level changed").count() < times {
        ensure!(Instant::now() < deadline, "the log level does not change:\n{}", program.log_text());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

#[tokio::test]
async fn sigusr1_toggles_detailed_logs_at_run_time() -> anyhow::Result<()> {
    let stack = Stack::start(&[]).await?;
    let trigger = Trigger::connect(&stack).await?;
    let test = json!({ "code": "export async function main() {}", "code_type": "main_fn" });
    let (status, answer) = stack.client.post("/scripts/test/", &test).await?;
    ensure!(status.is_success(), "{answer}");
    let id: Uuid = answer["id"].as_str().context("an id")?.parse()?;
    let logged = || stack.worker.log_text().matches("the execution of a message is not queued").count();
    dispatch_again(&stack, &trigger, id).await?;
    assert_eq!(logged(), 0, "before the first signal");
    toggle(&stack.worker, 1).await?;
    dispatch_again(&stack, &trigger, id).await?;
    assert_eq!(logged(), 1, "after the first signal");
    toggle(&stack.worker, 2).await?;
    dispatch_again(&stack, &trigger, id).await?;
    assert_eq!(logged(), 1, "after the second signal");
    toggle(&stack.api, 1).await
}
