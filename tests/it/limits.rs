//! Scripts that overrun a limit end with its code, and nobody else notices.

use e2e::{client::Client, stack::Stack};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const NEIGHBOUR: &str =
    "export async function main({ event }) { console.log('here'); return event.number * 2; }";

/// Runs `hostile` and, while it is at it, one neighbour after the other; returns how the hostile one ended and when.
async fn beside_neighbours(client: &Client, hostile: &str) -> anyhow::Result<(Value, Duration)> {
    let neighbour = client.create_script("neighbour", NEIGHBOUR).await?;
    let script = client.create_script("hostile", hostile).await?;
    let began = Instant::now();
    let hostile = client.execute(&script, json!({})).await?;
    let end = async {
        let done = client.terminal(&hostile, Duration::from_mins(1)).await?;
        anyhow::Ok((done, began.elapsed()))
    };
    let neighbours = async {
        for number in 0..5 {
            let id = client.execute(&neighbour, json!({ "number": number })).await?;
            let done = client.terminal(&id, Duration::from_secs(20)).await?;
            assert_eq!(
                (&done["status"], &done["result"]),
                (&json!("completed"), &json!(number * 2)),
                "{done}"
            );
            assert_eq!(
                (&done["attempt"], &done["logs"][0]["message"]),
                (&json!(1), &json!("here")),
                "{done}"
            );
        }
        anyhow::Ok(began.elapsed())
    };
    let ((end, neighbours_took), ()) = (tokio::try_join!(end, neighbours)?, ());
    assert!(neighbours_took < Duration::from_secs(10), "the neighbours took {neighbours_took:?}");
    Ok(end)
}

#[tokio::test]
async fn an_endless_loop_ends_as_timeout_within_the_limit_and_a_second() -> anyhow::Result<()> {
    let stack = Stack::start(&[("EXECUTION_TIMEOUT_MS", "2000")]).await?;
    let (done, took) = beside_neighbours(
        &stack.client,
        "export function main() { console.log('in'); let n = 0; while (true) { n += 1; } }",
    )
    .await?;
    assert_eq!((&done["status"], &done["error"]["code"]), (&json!("errored"), &json!("timeout")), "{done}");
    assert_eq!(done["logs"][0]["message"], "in", "what it logged before stays");
    assert!(took >= Duration::from_secs(2) && took < Duration::from_secs(3), "read after {took:?}");
    Ok(())
}

#[tokio::test]
async fn allocating_without_end_ends_as_memory_limit() -> anyhow::Result<()> {
    let stack = Stack::start(&[]).await?;
    let (done, _) = beside_neighbours(
        &stack.client,
        "export function main() { const all = []; for (;;) { all.push(new Array(10_000).fill(all.length)); } }",
    )
    .await?;
    assert_eq!(
        (&done["status"], &done["error"]["code"]),
        (&json!("errored"), &json!("memory_limit")),
        "{done}"
    );
    Ok(())
}

#[tokio::test]
async fn array_buffers_count_toward_the_memory_limit() -> anyhow::Result<()> {
    let stack = Stack::start(&[]).await?;
    let (done, _) = beside_neighbours(
        &stack.client,
        "export function main() { const all = []; for (;;) { all.push(new Uint8Array(1 << 20).fill(1)); } }",
    )
    .await?;
    assert_eq!(
        (&done["status"], &done["error"]["code"]),
        (&json!("errored"), &json!("memory_limit")),
        "{done}"
    );
    Ok(())
}
