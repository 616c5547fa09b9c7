//! Pages of large rows end early, and the pages together have every row once.

use crate::{
    client::Client,
    executions::{execute, id_of},
    server::Server,
};
use serde_json::{Value, json};
use tokio::task::JoinSet;

/// Limits the bytes of an answer: the rows of a page, and the JSON around them.
const PAGE_BYTES: usize = 4 * 1024 * 1024 + 1024;
const SCRIPT: &str = "export default () => 1";

/// Inserts scripts like this one, each with 256 KiB of a character that takes 6 bytes in JSON.
async fn copy_script(server: &Server, script: &Value, copies: i32) {
    sqlx::query(
        "INSERT INTO scripts (id, workspace_id, name, code_type, trigger_type, code, build_hash)
         SELECT gen_random_uuid(), workspace_id, name || number, code_type, trigger_type, repeat(chr(1), 262144), build_hash
         FROM scripts, generate_series(1, $2) AS number WHERE id = $1",
    )
    .bind(id_of(script))
    .bind(copies)
    .execute(&server.pool)
    .await
    .unwrap();
}

/// Reads every page, checks its size, and returns the value of `key` in every row.
async fn all(client: &Client, path: &str, key: &str) -> Vec<String> {
    let (mut rows, mut cursor) = (Vec::new(), String::new());
    loop {
        let answer = client.get(&format!("{path}?per_page=100{cursor}")).await;
        assert!(answer.text.len() <= PAGE_BYTES, "{path}: {}", answer.text.len());
        let page = answer.json(200);
        let results = page["results"].as_array().unwrap();
        assert!(!results.is_empty(), "{path}");
        rows.extend(results.iter().map(|row| row[key].to_string()));
        let Some(next) = page["next_cursor"].as_str() else { return rows };
        cursor = format!("&cursor={next}");
    }
}

/// Checks that values are different, in descending order and this many.
fn assert_each_once(values: &[String], count: usize) {
    assert_eq!(values.len(), count);
    assert!(values.windows(2).all(|pair| pair[0] > pair[1]), "{values:?}");
}

#[tokio::test]
async fn a_page_of_large_scripts_ends_at_four_mebibytes() {
    let server = Server::start().await;
    let client = server.client("demo").await;
    let script = client.script("n", SCRIPT).await;
    copy_script(&server, &script, 20).await;
    assert_each_once(&all(&client, "/scripts/", "id").await, 21);
}

#[tokio::test]
async fn a_page_of_large_functions_ends_at_four_mebibytes() {
    let server = Server::start().await;
    let client = server.client("demo").await;
    client.post("/functions/", json!({"name": "f", "code": "return 1"})).await.json(201);
    sqlx::query(
        "INSERT INTO script_functions (id, workspace_id, name, code, build_hash)
         SELECT gen_random_uuid(), workspace_id, name || number, repeat('x', 262144), build_hash
         FROM script_functions, generate_series(1, 20) AS number WHERE name = 'f'",
    )
    .execute(&server.pool)
    .await
    .unwrap();
    assert_each_once(&all(&client, "/functions/", "id").await, 21);
}

#[tokio::test]
async fn a_page_of_large_versions_ends_at_four_mebibytes() {
    let server = Server::start().await;
    let client = server.client("demo").await;
    let script = client.script("n", SCRIPT).await;
    sqlx::query(
        "INSERT INTO script_versions (script_id, version, code, code_type, build_hash, functions)
         SELECT script_id, version + number, repeat('x', 262144), code_type, build_hash, functions
         FROM script_versions, generate_series(10, 29) AS number WHERE script_id = $1",
    )
    .bind(id_of(&script))
    .execute(&server.pool)
    .await
    .unwrap();
    let versions = all(&client, &format!("/scripts/{}/versions/", id_of(&script)), "version").await;
    let numbers: Vec<u32> = versions.iter().map(|version| version.parse().unwrap()).collect();
    let expected: Vec<u32> = (11..=30).rev().chain([1]).collect();
    assert_eq!(numbers, expected);
}

#[tokio::test]
async fn a_page_of_large_schedules_ends_at_four_mebibytes() {
    let server = Server::start().await;
    let client = server.client("demo").await;
    let script = client.script("n", SCRIPT).await;
    let schedule = json!({"script_id": script["id"], "cron": "0 9 * * *", "enabled": false});
    client.post("/schedules/", schedule).await.json(201);
    sqlx::query(
        "INSERT INTO schedules (id, workspace_id, script_id, cron, variables, enabled)
         SELECT gen_random_uuid(), workspace_id, script_id, cron, json_build_object('v', repeat('x', 250000)), false
         FROM schedules, generate_series(1, 20)",
    )
    .execute(&server.pool)
    .await
    .unwrap();
    assert_each_once(&all(&client, "/schedules/", "id").await, 21);
}

/// Twelve pages at a time are more than one workspace may make, so that some of them wait.
#[tokio::test]
async fn large_pages_of_one_workspace_leave_memory_to_others() {
    let server = Server::start().await;
    let (client, other) = (server.client("demo").await, server.client("other").await);
    let script = client.script("n", SCRIPT).await;
    copy_script(&server, &script, 20).await;
    let mut pages = JoinSet::new();
    for _ in 0..12 {
        let client = client.clone();
        pages.spawn(async move { client.get("/scripts/?per_page=100").await });
    }
    let script = other.script("n", SCRIPT).await;
    execute(&other, &script).await;
    for path in ["/scripts/", "/functions/", "/executions/", "/types/"] {
        assert_eq!(other.get(path).await.status, 200, "{path}");
    }
    for answer in pages.join_all().await {
        if answer.status == 429 {
            assert_eq!(answer.json(429)["code"], "workspace_busy");
            continue;
        }
        let page = answer.json(200);
        assert_eq!(page["results"].as_array().map(Vec::len), Some(2), "two scripts have 3 MiB of JSON");
        assert!(page["next_cursor"].is_string());
    }
}
