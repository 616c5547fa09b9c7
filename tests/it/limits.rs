//! Scripts over a limit: they end with the error code of the limit, and do not affect others.

use e2e::{client::Client, stack::Stack};
use reqwest::Method;
use serde_json::{Value, json};
use shared::encryption::{AssociatedData, Keyring};
use std::time::{Duration, Instant};

const NEIGHBOUR: &str =
    "export async function main({ event }) { console.log('here'); return event.number * 2; }";

/// Runs `hostile` and one neighbour after the other at the same time. Returns the end of the hostile run and its
/// duration.
async fn beside_neighbours(client: &Client, hostile: &str) -> anyhow::Result<(Value, Duration)> {
    beside_neighbours_of(client, client, hostile).await
}

/// Like [`beside_neighbours`], with neighbours of any workspace.
async fn beside_neighbours_of(
    neighbours: &Client,
    client: &Client,
    hostile: &str,
) -> anyhow::Result<(Value, Duration)> {
    let neighbour = neighbours.create_script("neighbour", NEIGHBOUR).await?;
    let script = client.create_script("hostile", hostile).await?;
    let began = Instant::now();
    let hostile = client.execute(&script, json!({})).await?;
    let end = async {
        let done = client.terminal(&hostile, Duration::from_mins(1)).await?;
        anyhow::Ok((done, began.elapsed()))
    };
    let neighbours = async {
        for number in 0..5 {
            let id = neighbours.execute(&neighbour, json!({ "number": number })).await?;
            let done = neighbours.terminal(&id, Duration::from_secs(20)).await?;
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
async fn an_endless_loop_times_out_within_a_second_of_the_limit() -> anyhow::Result<()> {
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

/// Makes a secret of characters that every encoding escapes, without repetition.
fn hostile_secret(seed: usize) -> String {
    let marks: Vec<char> = "\"'\\<>{}|^%é;/?`".chars().collect();
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        marks[(state >> 33) % marks.len()]
    };
    let mut value: String = std::iter::repeat_with(&mut next).take(32 * 1024).collect();
    value.truncate(value.floor_char_boundary(32 * 1024));
    value
}

#[tokio::test]
async fn secrets_that_are_expensive_to_mask_do_not_delay_others() -> anyhow::Result<()> {
    let stack = Stack::start(&[]).await?;
    let other = stack.client_of_workspace("other").await?;
    for (key, seed) in [("A", 1), ("B", 2)] {
        let body = json!({ "value": hostile_secret(seed) }).to_string();
        let (status, answer) = stack.client.send(Method::PUT, &format!("/environment/{key}/"), body).await?;
        assert_eq!(status, 201, "{answer}");
    }
    let code = "export function main(_, { ENV }) {
            console.log('x'.repeat(40_000));
            console.log(ENV.A);
            return ENV;
        }";
    let (done, _) = beside_neighbours_of(&other, &stack.client, code).await?;
    assert_eq!((&done["status"], &done["attempt"]), (&json!("completed"), &json!(1)), "{}", done["error"]);
    assert_eq!(done["result"], json!({ "A": "[masked]", "B": "[masked]" }));
    assert_eq!(done["logs"][0]["message"], "x".repeat(40_000));
    assert_eq!(done["logs"][1]["message"], "[masked]");
    Ok(())
}

#[tokio::test]
async fn secrets_from_before_their_limit_end_a_run_with_the_reason() -> anyhow::Result<()> {
    let stack = Stack::start(&[]).await?;
    let script = stack.client.create_script("any", NEIGHBOUR).await?;
    let pool = stack.database.pool().await;
    let workspace: uuid::Uuid = sqlx::query_scalar("SELECT id FROM workspaces").fetch_one(&pool).await?;
    let keyring = Keyring::parse("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=")?;
    for key in ["A", "B", "C", "D", "E", "F", "G"] {
        let sealed = keyring.seal(&vec![b'x'; 32 * 1024], &AssociatedData::environment(workspace, key));
        let insert =
            "INSERT INTO environment_variables (workspace_id, key, value_sealed) VALUES ($1, $2, $3)";
        sqlx::query(insert).bind(workspace).bind(key).bind(sealed).execute(&pool).await?;
    }
    let execution = stack.client.execute(&script, json!({ "number": 1 })).await?;
    let done = stack.client.terminal(&execution, Duration::from_mins(1)).await?;
    assert_eq!((&done["status"], &done["error"]["code"]), (&json!("errored"), &json!("build_failed")));
    let message = "the values of the workspace's environment, the script's env and the execution's env have 229376 bytes \
                   together; 196608 are allowed";
    assert_eq!(done["error"]["message"], message);
    Ok(())
}
