//! A new `ENCRYPTION_KEY`, from installing it to dropping the old one.

use crate::server::Server;
use api::testing::db::reencrypt::{ReencryptError, Reencrypted, reencrypt_all};
use serde_json::json;
use shared::encryption::{AssociatedData, Keyring};
use uuid::Uuid;

/// Key without an id, as the operator guide installs it.
const BARE: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const NEW: &str = "2026:Hx4dHBsaGRgXFhUUExIREA8ODQwLCgkIBwYFBAMCAQA=";

fn keyring(text: &str) -> Keyring {
    Keyring::parse(text).unwrap()
}

/// Creates a workspace whose token, variable and script are encrypted with the key without an id.
async fn sealed_workspace(server: &Server) -> (Uuid, Uuid) {
    let client = server.client("demo").await;
    client.put("/environment/API_TOKEN/", json!({"value": "will be replaced"})).await;
    let script = json!({"name": "sealed", "code": "return 1", "code_type": "raw", "trigger_type": "automation",
        "env": {"A": "b"}});
    let script = client.post("/scripts/", script).await.json(201);
    let script_id: Uuid = script["id"].as_str().unwrap().parse().unwrap();
    let old = keyring(BARE);
    let workspace_id: Uuid =
        sqlx::query_scalar("SELECT id FROM workspaces").fetch_one(&server.pool).await.unwrap();
    for (statement, id, context) in [
        (
            "UPDATE workspaces SET plane_token_sealed = $2 WHERE id = $1",
            workspace_id,
            AssociatedData::plane_token(workspace_id),
        ),
        (
            "UPDATE environment_variables SET value_sealed = $2 WHERE workspace_id = $1",
            workspace_id,
            AssociatedData::environment(workspace_id, "API_TOKEN"),
        ),
        (
            "UPDATE scripts SET env_sealed = $2 WHERE id = $1",
            script_id,
            AssociatedData::script_env(script_id),
        ),
    ] {
        let changed =
            sqlx::query(statement).bind(id).bind(old.seal(b"secret", &context)).execute(&server.pool).await;
        assert_eq!(changed.unwrap().rows_affected(), 1, "{statement}");
    }
    (workspace_id, script_id)
}

#[tokio::test]
async fn after_reencryption_the_old_key_is_not_needed() {
    let server = Server::start().await;
    let (workspace_id, script_id) = sealed_workspace(&server).await;
    let both = keyring(&format!("{NEW},{BARE}"));

    let reencrypted = reencrypt_all(&server.pool, &both).await.unwrap();
    assert_eq!(reencrypted, Reencrypted { plane_tokens: 1, variables: 1, scripts: 1, executions: 0 });
    assert_eq!(
        reencrypt_all(&server.pool, &both).await.unwrap(),
        Reencrypted::default(),
        "a second time changes nothing"
    );

    let new = keyring(NEW);
    for (query, context) in [
        ("SELECT plane_token_sealed FROM workspaces", AssociatedData::plane_token(workspace_id)),
        (
            "SELECT value_sealed FROM environment_variables",
            AssociatedData::environment(workspace_id, "API_TOKEN"),
        ),
        ("SELECT env_sealed FROM scripts", AssociatedData::script_env(script_id)),
    ] {
        let sealed: Vec<u8> = sqlx::query_scalar(query).fetch_one(&server.pool).await.unwrap();
        assert_eq!(new.open(&sealed, &context).unwrap(), b"secret", "{query}");
    }
}

#[tokio::test]
async fn reencryption_with_a_missing_key_changes_nothing() {
    let server = Server::start().await;
    let (workspace_id, _) = sealed_workspace(&server).await;

    let refused = reencrypt_all(&server.pool, &keyring(NEW)).await.unwrap_err();
    assert!(matches!(refused, ReencryptError::Open(_)), "{refused}");

    let sealed: Vec<u8> = sqlx::query_scalar("SELECT plane_token_sealed FROM workspaces")
        .fetch_one(&server.pool)
        .await
        .unwrap();
    assert_eq!(keyring(BARE).open(&sealed, &AssociatedData::plane_token(workspace_id)).unwrap(), b"secret");
}
