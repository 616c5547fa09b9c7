//! Erasing a workspace leaves no row of it.

use crate::{executions::execute, server::Server};
use api::testing::db::{self, workspace_deletion::Erased};
use serde_json::{Value, json};
use sqlx::PgPool;
use std::collections::BTreeSet;
use uuid::Uuid;

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

    let erased = db::workspace_deletion::erase(&server.pool, id, |_| {}).await.unwrap();
    assert_eq!(erased, Erased { executions: 2, log_lines: 1, scripts: 1, functions: 1 });
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
        db::workspace_deletion::erase(&server.pool, id, |_| {}).await.unwrap(),
        Erased::default(),
        "again changes nothing"
    );
}

/// Adds executions of one workspace with a log line each, in every week that has a partition.
async fn add_history(pool: &PgPool, workspace_id: Uuid, per_week: i32) {
    let add = "WITH ids AS (
             SELECT (left(uuid_v7_floor(week + number * interval '1 second')::text, 14)
                 || '7' || right(gen_random_uuid()::text, 21))::uuid AS id
             FROM generate_series(1, $2) AS number, (
                 SELECT to_date(right(relname, 8), 'YYYYMMDD')::timestamp AT TIME ZONE 'UTC' AS week FROM pg_inherits
                 JOIN pg_class child ON child.oid = inhrelid WHERE inhparent = 'script_executions'::regclass) weeks
         ), executions AS (
             INSERT INTO script_executions (id, workspace_id, trigger_type, status, finished_at, build_hash, code_type)
             SELECT id, $1, 'api', 'completed', now(), '', 'main_fn' FROM ids
         )
         INSERT INTO execution_logs (execution_id, seq, ts, level, message) SELECT id, 1, now(), 'info', 'x' FROM ids";
    sqlx::query(add).bind(workspace_id).bind(per_week).execute(pool).await.unwrap();
}

#[tokio::test]
async fn erasure_goes_on_week_by_week_where_it_was_interrupted() {
    let server = Server::start().await;
    let (gone, other) = (Uuid::now_v7(), Uuid::now_v7());
    for (id, slug) in [(gone, "gone"), (other, "other")] {
        sqlx::query("INSERT INTO workspaces (id, slug) VALUES ($1, $2)")
            .bind(id)
            .bind(slug)
            .execute(&server.pool)
            .await
            .unwrap();
        add_history(&server.pool, id, 1_500).await;
    }
    let all = number(&server.pool, "SELECT count(*) / 2 FROM script_executions").await;
    // Interrupted after its third transaction, like a command whose pod is evicted.
    let (sender, mut chunks) = tokio::sync::mpsc::unbounded_channel();
    let erasing = db::workspace_deletion::erase(&server.pool, gone, move |_| {
        let _ = sender.send(());
    });
    let third = async {
        for _ in 0..3 {
            chunks.recv().await;
        }
    };
    tokio::select! {
        _ = erasing => panic!("everything was erased at once"),
        () = third => {}
    }
    let left = number(&server.pool, "SELECT count(*) FROM script_executions").await - all;
    assert!(left > 0 && left < all, "{left} of {all} are left");

    let mut weeks = Vec::new();
    let erased = db::workspace_deletion::erase(&server.pool, gone, |progress| weeks.push(progress.week))
        .await
        .unwrap();
    let left = u64::try_from(left).unwrap();
    assert_eq!((erased.executions, erased.log_lines), (left, left));
    assert!(weeks.is_sorted() && weeks.first() < weeks.last(), "{weeks:?}");
    assert_eq!(number(&server.pool, "SELECT count(*) FROM script_executions").await, all);
    assert_eq!(number(&server.pool, "SELECT count(*) FROM execution_logs").await, all);
}

#[tokio::test]
async fn a_chunk_of_an_erasure_reads_one_week_by_its_indexes() {
    let server = Server::start().await;
    let workspace = Uuid::now_v7();
    sqlx::query("INSERT INTO workspaces (id, slug) VALUES ($1, 'large')")
        .bind(workspace)
        .execute(&server.pool)
        .await
        .unwrap();
    add_history(&server.pool, workspace, 3_000).await;
    sqlx::query("ANALYZE").execute(&server.pool).await.unwrap();
    let (first, end): (Uuid, Uuid) = sqlx::query_as(
        "SELECT uuid_v7_floor(week), uuid_v7_floor(week + interval '7 days')
         FROM (SELECT date_trunc('week', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' AS week) this",
    )
    .fetch_one(&server.pool)
    .await
    .unwrap();
    let ids: Vec<Uuid> =
        sqlx::query_scalar("SELECT id FROM script_executions WHERE id >= $1 AND id < $2 LIMIT 100")
            .bind(first)
            .bind(end)
            .fetch_all(&server.pool)
            .await
            .unwrap();
    assert_eq!(ids.len(), 100);
    let mut transaction = server.pool.begin().await.unwrap();
    // A table of a test is small enough to be read whole.
    for setting in ["SET LOCAL enable_seqscan = off", "SET LOCAL enable_bitmapscan = off"] {
        sqlx::query(setting).execute(&mut *transaction).await.unwrap();
    }
    let explain = |statement: &str| sqlx::AssertSqlSafe(format!("EXPLAIN {statement}"));
    let select: Vec<String> = sqlx::query_scalar(explain(db::workspace_deletion::SELECT_CHUNK))
        .bind(workspace)
        .bind(first)
        .bind(end)
        .bind(-1_i16)
        .bind(Uuid::nil())
        .bind(100_i64)
        .fetch_all(&mut *transaction)
        .await
        .unwrap();
    let delete: Vec<String> = sqlx::query_scalar(explain(db::workspace_deletion::DELETE_LOGS))
        .bind(&ids)
        .bind(first)
        .bind(end)
        .fetch_all(&mut *transaction)
        .await
        .unwrap();
    for plan in [select, delete] {
        let scans: Vec<_> = plan.iter().filter(|line| line.contains("Scan")).collect();
        assert!(!scans.is_empty() && scans.iter().all(|line| line.contains("Index Scan")), "{plan:#?}");
        let tables = scans.iter().filter_map(|line| line.split(" on ").nth(1)?.split_whitespace().next());
        let tables: BTreeSet<_> = tables.collect();
        assert_eq!(tables.len(), 1, "{plan:#?}");
    }
}
