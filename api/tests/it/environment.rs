//! Secrets of a workspace: they go in and never come out.

use crate::server::Server;
use serde_json::json;

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
    let context = shared::encryption::Context::environment(row.workspace_id, "API_TOKEN");
    assert_eq!(server.state.keyring.open(&row.value_sealed, &context).unwrap(), b"other-token");

    client.delete("/environment/API_TOKEN/").await.json(204);
    client.get("/environment/API_TOKEN/").await.json(404);
    let changes = client.get("/environment/API_TOKEN/changes/").await.json(200);
    let actions: Vec<_> =
        changes["results"].as_array().unwrap().iter().map(|change| change["action"].clone()).collect();
    assert_eq!(actions, ["deleted", "set", "set"]);
}

#[tokio::test]
async fn keys_and_values_are_held_to_their_rules() {
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
