//! Secrets of a workspace: written and never read back.

use crate::{client::Client, server::Server};
use serde_json::{Value, json};
use shared::encryption::AssociatedData;

#[tokio::test]
async fn values_are_sealed_and_never_shown() {
    let server = Server::start().await;
    let client = server.client("demo").await;
    let set = client.put("/environment/API_TOKEN/", json!({"value": "s3cret-token"})).await;
    assert!(!set.text.contains("s3cret"));
    assert_eq!(set.json(201)["value"], "********");
    assert_eq!(
        client.put("/environment/API_TOKEN/", json!({"value": "other-token"})).await.json(200)["key"],
        "API_TOKEN"
    );
    let read = client.get("/environment/API_TOKEN").await.json(200);
    assert_eq!(read["value"], "********");
    assert!(read["updated_by"].as_str().unwrap().starts_with("api-key:rctl_"));
    let listed = client.get("/environment/").await.json(200);
    assert_eq!(listed["results"][0]["key"], "API_TOKEN");

    let row = sqlx::query!("SELECT workspace_id, value_sealed FROM environment_variables")
        .fetch_one(&server.pool)
        .await
        .unwrap();
    let context = AssociatedData::environment(row.workspace_id, "API_TOKEN");
    assert_eq!(server.state.keyring.open(&row.value_sealed, &context).unwrap(), b"other-token");

    client.delete("/environment/API_TOKEN/").await.json(204);
    client.get("/environment/API_TOKEN/").await.json(404);
    let changes = client.get("/environment/API_TOKEN/changes/").await.json(200);
    let actions: Vec<_> =
        changes["results"].as_array().unwrap().iter().map(|change| change["action"].clone()).collect();
    assert_eq!(actions, ["deleted", "set", "set"]);
}

#[tokio::test]
async fn invalid_environment_keys_and_values_are_refused() {
    let server = Server::start().await;
    let client = server.client("demo").await;
    let refused = client.put("/environment/1-bad/", json!({"value": "x"})).await.json(400);
    assert!(refused["key"][0].as_str().unwrap().contains("is not a key"));
    let refused = client.put("/environment/A/", json!({"value": "x".repeat(40_000)})).await.json(400);
    assert_eq!(refused["value"][0], "Must have 32768 bytes at most.");
    let refused = client.put("/environment/A/", json!({"value": "********"})).await.json(400);
    assert!(refused["value"][0].as_str().unwrap().contains("there is none"));
    let short = client.put("/environment/A/", json!({"value": "abc"})).await.json(201);
    assert!(short["warning"].as_str().unwrap().contains("too short"));
}

/// Limits the bytes of a value.
const LARGEST: usize = 32 * 1024;

async fn put(client: &Client, key: &str, bytes: usize) -> (u16, Value) {
    let answer = client.put(&format!("/environment/{key}/"), json!({"value": "x".repeat(bytes)})).await;
    (answer.status.as_u16(), serde_json::from_str(&answer.text).unwrap())
}

#[tokio::test]
async fn environment_values_of_a_workspace_have_a_total_limit() {
    let server = Server::start().await;
    let client = server.client("demo").await;
    for key in ["A", "B"] {
        assert_eq!(put(&client, key, LARGEST).await.0, 201);
    }
    let (status, refused) = put(&client, "C", 1).await;
    assert_eq!(status, 400);
    assert_eq!(refused, json!({"value": ["All values together may have 65536 bytes; they have 65537."]}));
    assert_eq!(put(&client, "A", LARGEST - 1).await.0, 200, "the value it replaces does not count");
    assert_eq!(put(&client, "C", 1).await.0, 201);
    assert_eq!(put(&server.client("other").await, "A", LARGEST).await.0, 201, "another workspace's do not");
}

#[tokio::test]
async fn values_set_at_once_are_held_to_the_limit_too() {
    let server = Server::start().await;
    let client = server.client("demo").await;
    assert_eq!(put(&client, "A", LARGEST).await.0, 201);
    let (one, other) = tokio::join!(put(&client, "B", LARGEST), put(&client, "C", LARGEST));
    let mut statuses = [one.0, other.0];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 400]);
}

#[tokio::test]
async fn values_from_before_the_limit_may_shrink_but_not_grow() {
    let server = Server::start().await;
    let client = server.client("demo").await;
    assert_eq!(put(&client, "A", LARGEST).await.0, 201);
    let workspace = sqlx::query_scalar!("SELECT id FROM workspaces").fetch_one(&server.pool).await.unwrap();
    for key in ["B", "C"] {
        let sealed =
            server.state.keyring.seal(&vec![b'x'; LARGEST], &AssociatedData::environment(workspace, key));
        sqlx::query!(
            "INSERT INTO environment_variables (workspace_id, key, value_sealed) VALUES ($1, $2, $3)",
            workspace,
            key,
            sealed
        )
        .execute(&server.pool)
        .await
        .unwrap();
    }
    assert_eq!(put(&client, "D", 1).await.0, 400);
    assert_eq!(put(&client, "B", LARGEST).await.0, 200);
    assert_eq!(put(&client, "B", 1_000).await.0, 200, "still too much, but less");
    assert_eq!(put(&client, "B", 1_001).await.0, 400);
    client.delete("/environment/C/").await.json(204);
    assert_eq!(put(&client, "D", 1).await.0, 201);
}
