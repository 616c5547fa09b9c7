//! Use of the HTTP contract by a client.

use e2e::stack::Stack;
use serde_json::json;
use std::time::Duration;

const SCRIPT: &str = r#"
interface Input { event: { payload: { data: { name: string } } } }

export async function main({ event }: Input, { Functions, Variables }: any) {
    console.log("first", { nested: [1, 2] });
    await new Promise<void>((resolve) => setTimeout(resolve, 10));
    console.warn("second");
    return { greeting: await Functions.greet({ name: event.payload.data.name }), extra: Variables.extra ?? null };
}
"#;

#[tokio::test]
async fn a_script_completes_with_result_ordered_logs_and_duration() -> anyhow::Result<()> {
    let stack = Stack::start(&[]).await?;
    let function =
        json!({ "name": "greet", "code": "function greet({ name }) { return `Hello, ${name}`; }" });
    let (status, answer) = stack.client.post("/functions/", &function).await?;
    assert_eq!(status, 201, "{answer}");
    let script = stack.client.create_script("greeting", SCRIPT).await?;
    let execution = json!({
        "script_id": script,
        "trigger_type": "automation",
        "event": { "payload": { "data": { "name": "Ada" } } },
        "variables": { "extra": 7 },
    });
    let (status, accepted) = stack.client.post("/executions/", &execution).await?;
    assert_eq!(status, 202, "{accepted}");
    // The response has the current status, and a worker may already have started the run.
    assert!(matches!(accepted["status"].as_str(), Some("queued" | "running")), "{accepted}");

    let done = stack.client.terminal(accepted["id"].as_str().unwrap(), Duration::from_secs(30)).await?;
    assert_eq!(done["status"], "completed", "{done}");
    assert_eq!(done["result"], json!({ "greeting": "Hello, Ada", "extra": 7 }));
    assert_eq!(done["error"], json!(null));
    assert_eq!(done["function_names"], json!(["greet"]));
    assert_eq!((&done["attempt"], &done["script_version"]), (&json!(1), &json!(1)));
    let logs: Vec<_> = done["logs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| (&line["seq"], &line["level"], &line["message"]))
        .collect();
    assert_eq!(
        logs,
        [
            (&json!(1), &json!("info"), &json!("first { nested: [ 1, 2 ] }")),
            (&json!(2), &json!("warn"), &json!("second")),
        ]
    );
    let duration = done["duration_ms"].as_u64().expect("duration_ms is a whole number");
    assert!((10..5_000).contains(&duration), "{duration} ms for a script that waits 10 ms");
    for phase in ["queue_ms", "init_ms", "run_ms", "persist_ms"] {
        assert!(done["phases"][phase].as_f64().is_some_and(|ms| ms >= 0.0), "{phase}: {}", done["phases"]);
    }
    Ok(())
}

#[tokio::test]
async fn a_thrown_error_has_the_authors_own_line_and_column() -> anyhow::Result<()> {
    let stack = Stack::start(&[]).await?;
    let done = stack
        .client
        .run("thrower", "enum Kind { Bad }\nexport async function main(): Promise<void> {\n    throw new TypeError('no such ' + Kind[0]);\n}\n")
        .await?;
    assert_eq!(done["status"], "errored", "{done}");
    assert_eq!(done["error"]["code"], "script_error");
    assert_eq!(done["error"]["message"], "no such Bad");
    assert_eq!((&done["error"]["line"], &done["error"]["column"]), (&json!(3), &json!(11)));
    Ok(())
}
