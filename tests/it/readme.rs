//! The README's first script, run as written.

use anyhow::{Context as _, ensure};
use e2e::stack::Stack;
use serde_json::{Value, json};
use tokio::process::Command;

const README: &str = include_str!("../../README.md");

/// Returns the commands of the first `sh` block, without its first line, which starts the stack.
fn commands() -> Option<&'static str> {
    let (_, section) = README.split_once("## A first script in one minute")?;
    let (_, block) = section.split_once("```sh\n")?;
    let (commands, _) = block.split_once("```")?;
    let (start, rest) = commands.split_once('\n')?;
    start.starts_with("make dev").then_some(rest)
}

#[tokio::test]
async fn the_readmes_first_script_returns_its_greeting() -> anyhow::Result<()> {
    let stack = Stack::start(&[]).await?;
    let output = Command::new("bash")
        .args(["-euc", commands().context("the README has its first script")?])
        .env("API_URL", stack.api.url())
        .env("API_KEY", stack.client.key())
        .output()
        .await?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let execution: Value = serde_json::from_slice(&output.stdout)?;
    assert_eq!(execution["status"], "completed");
    assert_eq!(execution["result"], json!({ "greeting": "Welcome, Ada!" }));
    assert_eq!(execution["logs"][0]["message"], "hello Ada");
    Ok(())
}
