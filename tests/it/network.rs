//! Network access of scripts, from `POST /executions/` to the recorded end.

use axum::{Router, extract::Path, routing::get};
use e2e::stack::Stack;
use futures_util::future::try_join_all;
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use tokio::{net::TcpListener, sync::Barrier, task::JoinHandle};

/// Number of concurrent runs. Each response waits until this many requests have arrived.
const SLOTS: usize = 8;
const EXECUTIONS: usize = 200;

/// Starts a server whose `/together/N` responds once a run of every slot waits there. Returns its `host:port`.
async fn server() -> anyhow::Result<(String, JoinHandle<()>)> {
    let all_slots = Arc::new(Barrier::new(SLOTS));
    let together = async move |Path(number): Path<String>| {
        all_slots.wait().await;
        number
    };
    let router =
        Router::new().route("/together/{number}", get(together)).route("/hello", get(async || "hello"));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let host = listener.local_addr()?.to_string();
    let task = tokio::spawn(async {
        axum::serve(listener, router).await.expect("the listener outlives the test");
    });
    Ok((host, task))
}

async fn create_script(stack: &Stack, code: &str, allowed_domains: &[&str]) -> anyhow::Result<String> {
    let script = json!({
        "name": format!("reaches {}", allowed_domains.join(", ")), "code": code, "code_type": "main_fn", "trigger_type": "automation",
        "allowed_domains": allowed_domains,
    });
    let (status, answer) = stack.client.post("/scripts/", &script).await?;
    assert_eq!(status, 201, "{answer}");
    Ok(answer["id"].as_str().expect("scripts have ids").to_owned())
}

async fn run(stack: &Stack, script: &str, event: Value) -> anyhow::Result<Value> {
    let execution = stack.client.execute(script, event).await?;
    stack.client.terminal(&execution, Duration::from_mins(1)).await
}

#[tokio::test]
async fn a_script_reaches_only_hosts_allowed_by_script_and_operator() -> anyhow::Result<()> {
    let (host, server) = server().await?;
    let stack = Stack::start(&[("SANDBOX_ALLOW_PRIVATE_NETWORK", &host)]).await?;
    let code = "export async function main({ event }) { return (await fetch(event.url)).text(); }";
    let url = json!({ "url": format!("http://{host}/hello") });

    let allowed = run(&stack, &create_script(&stack, code, &[&host]).await?, url.clone()).await?;
    assert_eq!((&allowed["status"], &allowed["result"]), (&json!("completed"), &json!("hello")), "{allowed}");
    let line = &allowed["logs"][0];
    assert_eq!(line["level"], "debug");
    assert!(
        line["message"].as_str().is_some_and(|text| text.starts_with(&format!("GET {host} 200 "))),
        "{line}"
    );

    let unlisted = run(&stack, &create_script(&stack, code, &["example.com"]).await?, url).await?;
    assert_eq!(unlisted["error"]["code"], "script_error", "{unlisted}");
    assert_eq!(unlisted["error"]["message"], "Domain not allowed: 127.0.0.1");

    let script = create_script(&stack, code, &["127.0.0.1", "169.254.169.254"]).await?;
    for (url, message) in [
        ("http://127.0.0.1/", "Address not allowed: 127.0.0.1 is a loopback address"),
        ("http://169.254.169.254/", "Address not allowed: 169.254.169.254 is a metadata address"),
    ] {
        let refused = run(&stack, &script, json!({ "url": url })).await?;
        assert_eq!(refused["error"]["message"], message, "{refused}");
    }
    server.abort();
    Ok(())
}

#[tokio::test]
async fn two_hundred_fetching_executions_complete_in_eight_slots() -> anyhow::Result<()> {
    let (host, server) = server().await?;
    let slots = SLOTS.to_string();
    let settings = [("SANDBOX_ALLOW_PRIVATE_NETWORK", host.as_str()), ("WORKER_CONCURRENCY", &slots)];
    let stack = Stack::start(&settings).await?;
    let code = "export async function main({ event }) { return (await fetch(event.url)).text(); }";
    let script = create_script(&stack, code, &[&host]).await?;

    let executions = try_join_all((0..EXECUTIONS).map(|number| {
        let url = format!("http://{host}/together/{number}");
        stack.client.execute(&script, json!({ "url": url }))
    }))
    .await?;
    for (number, execution) in executions.iter().enumerate() {
        let done = stack.client.terminal(execution, Duration::from_mins(2)).await?;
        assert_eq!(
            (&done["status"], &done["result"]),
            (&json!("completed"), &json!(number.to_string())),
            "{done}"
        );
    }
    server.abort();
    Ok(())
}
