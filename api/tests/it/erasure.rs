//! Erasing a workspace leaves no row of it.

use crate::{executions::execute, server::Server};
use api::testing::db::{self, workspace_deletion::Erased};
use serde_json::{Value, json};
use sqlx::PgPool;

/// Creates a workspace with a row of every kind.
async fn furnish(server: &Server, slug: &str) -> crate::client::Client {
    let client = server.client(slug).await;
    let function = json!({ "name": "double", "code": "function double({ n }) { return 2 * n; }",
        "description": slug, "parameters": [], "return_type": "number" });
    client.post("/functions/", function).await.json(201);
    let code = format!("export default () => Functions.double({{ n: '{slug}'.length }})");
    let script = client.script("n", &code).await;
    let body = json!({ "script_id": script["id"], "event": {} });
    let keyed = client.request(reqwest::Method::POST, "/executions/").header("idempotency-key", "k");
    let keyed = keyed.header("content-type", "application/json").body(body.to_string());
    let execution = crate::client::send(keyed).await.json(202);
    crate::executions::complete(server, crate::executions::id_of(&execution)).await;
    execute(&client, &script).await;
    client.put("/environment/TOKEN/", json!({ "value": "secret" })).await;
    client.post("/schedules/", json!({ "script_id": script["id"], "cron": "0 9 * * *" })).await.json(201);
    sqlx::query(
        "INSERT INTO dead_letters (id, workspace_slug, reason, exchange, routing_key, body, body_bytes, fingerprint)
         VALUES (gen_random_uuid(), $1, 'r', 'e', 'k', 'b', 1, sha256('x'))",
    )
    .bind(slug)
    .execute(&server.pool)
    .await
    .unwrap();
    client
}

/// Counts the rows per table that belong to the workspace, or to a script or execution of it.
async fn rows(pool: &PgPool, slug: &str) -> Value {
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT c.table_name::text FROM information_schema.columns c
         JOIN pg_class ON oid = format('%I', c.table_name)::regclass AND NOT relispartition
         WHERE c.table_schema = 'public' AND c.column_name = 'workspace_id' ORDER BY 1",
    )
    .fetch_all(pool)
    .await
    .unwrap();
    let mut counts = serde_json::Map::new();
    let letters: i64 = sqlx::query_scalar("SELECT count(*) FROM dead_letters WHERE workspace_slug = $1")
        .bind(slug)
        .fetch_one(pool)
        .await
        .unwrap();
    counts.insert("dead_letters".to_owned(), letters.into());
    for table in tables {
        let count = format!(
            "SELECT count(*) FROM {table} WHERE workspace_id = (SELECT id FROM workspaces WHERE slug = $1)"
        );
        let count: i64 =
            sqlx::query_scalar(sqlx::AssertSqlSafe(count)).bind(slug).fetch_one(pool).await.unwrap();
        counts.insert(table, count.into());
    }
    Value::Object(counts)
}

async fn number(pool: &PgPool, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(pool).await.unwrap()
}

#[tokio::test]
async fn erasure_removes_one_workspace_and_leaves_others() {
    let server = Server::start().await;
    let (gone, other) = (furnish(&server, "gone").await, furnish(&server, "other").await);
    let kept = rows(&server.pool, "other").await;
    assert!(kept.as_object().unwrap().values().all(|count| count != 0), "a table is not looked at: {kept}");
    let builds = number(&server.pool, "SELECT count(*) FROM builds").await;
    // Builds are deleted an hour after they were made, so that none is deleted during a request.
    for aged in [
        "ALTER TABLE builds DISABLE TRIGGER builds_are_immutable",
        "UPDATE builds SET created_at = now() - interval '2 hours'",
    ] {
        sqlx::query(aged).execute(&server.pool).await.unwrap();
    }
    let id = db::workspaces::find(&server.pool, "gone").await.unwrap().unwrap();

    let erased = db::workspace_deletion::erase(&server.pool, id).await.unwrap();
    assert_eq!(erased, Erased { executions: 2, scripts: 1, functions: 1 });
    let left = rows(&server.pool, "gone").await;
    assert!(left.as_object().unwrap().values().all(|count| count == 0), "{left}");
    assert_eq!(rows(&server.pool, "other").await, kept);
    assert_eq!(number(&server.pool, "SELECT count(*) FROM execution_logs").await, 1, "the other's line");
    assert_eq!(number(&server.pool, "SELECT count(*) FROM script_versions").await, 1);
    // Both workspaces have the same function; the scripts differ.
    assert_eq!(number(&server.pool, "SELECT count(*) FROM builds").await, builds - 1);
    gone.get("/scripts/").await.json(401);
    other.get("/scripts/").await.json(200);
    assert_eq!(
        db::workspace_deletion::erase(&server.pool, id).await.unwrap(),
        Erased::default(),
        "again changes nothing"
    );
}
