//! The walk-through's commands, run as written.

use anyhow::{Context as _, ensure};
use e2e::stack::Stack;
use serde_json::{Value, json};
use std::fmt::Write as _;
use test_support::Receiver;
use tokio::process::Command;

const TEXT: &str = include_str!("../../docs/walkthrough.md");

/// Joins all `sh` blocks, in order, to one shell program that stops at the first failure.
fn commands() -> String {
    let mut program = String::from("set -eu\n");
    for block in TEXT.split("```sh\n").skip(1) {
        let (commands, _) = block.split_once("```").expect("a block ends");
        writeln!(program, "{commands}").expect("a String takes any text");
    }
    program
}

#[tokio::test]
async fn every_command_works_and_the_automation_runs() -> anyhow::Result<()> {
    let stack = Stack::start(&[("SANDBOX_ALLOW_PRIVATE_NETWORK", "127.0.0.1/32")]).await?;
    stack.load_fixtures().await?;
    let slack = Receiver::start().await;
    let folder = std::env::temp_dir().join(format!("runnerctl-walkthrough-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let output = Command::new("bash")
        .args(["-c", &commands()])
        .current_dir(&folder)
        .env("API_URL", stack.api.url())
        .env("API_KEY", stack.client.key())
        .env("SLACK_WEBHOOK", slack.hook("slack"))
        .env("SLACK_HOST", slack.host())
        .output()
        .await?;
    let shown =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "{shown}");
    let execution = std::fs::read_to_string(folder.join("execution.json")).context(shown)?;
    let execution: Value = serde_json::from_str(&execution)?;
    assert_eq!(
        (&execution["status"], &execution["result"]),
        (&json!("completed"), &json!({ "announced": "Fire" }))
    );
    assert_eq!(execution["logs"][0]["message"], "announcing Fire");
    assert_eq!(slack.posted()[0].json(), json!({ "text": "Look: Fire" }));
    std::fs::remove_dir_all(folder)?;
    Ok(())
}
