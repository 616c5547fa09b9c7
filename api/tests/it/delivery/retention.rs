//! Weekly partitions: old ones are dropped, and missing ones are created.

use super::{
    Queues,
    ingest::{self, event, script},
    until,
};
use crate::server::Server;
use api::testing::background::retention::run_maintenance;
use serde_json::json;
use sqlx::PgPool;
use std::time::Duration;
use test_support::TestDatabase;

const DAY: Duration = Duration::from_hours(24);

/// Inserts an execution of this age with one line. `status` is `completed` or `queued`.
async fn execution(pool: &PgPool, age: &str, status: &str) {
    sqlx::query(
        "WITH made AS (
             INSERT INTO script_executions (id, workspace_id, trigger_type, build_hash, code_type, status, finished_at)
             SELECT uuid_v7_floor(now() - $1::interval), gen_random_uuid(), 'api', 'hash', 'main_fn', $2,
                 CASE $2 WHEN 'completed' THEN now() - $1::interval END
             RETURNING id)
         INSERT INTO execution_logs (execution_id, seq, ts, level, message)
         SELECT id, 1, now(), 'info', 'a line' FROM made",
    )
    .bind(age)
    .bind(status)
    .execute(pool)
    .await
    .unwrap();
}

async fn number(pool: &PgPool, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(pool).await.unwrap()
}

/// Returns the numbers of executions and lines.
async fn counts(pool: &PgPool) -> (i64, i64) {
    let executions = number(pool, "SELECT count(*) FROM script_executions").await;
    (executions, number(pool, "SELECT count(*) FROM execution_logs").await)
}

#[tokio::test]
async fn a_week_is_dropped_once_all_its_runs_are_expired_and_finished() {
    let database = TestDatabase::create().await;
    let pool = database.pool().await;
    number(&pool, "SELECT create_execution_partitions(now() - interval '70 days', now())::bigint").await;
    for (age, status) in [
        ("60 days", "completed"),
        ("45 days", "completed"),
        ("45 days 1 second", "queued"),
        ("10 days", "completed"),
    ] {
        execution(&pool, age, status).await;
    }
    run_maintenance(&pool, None).await.unwrap().unwrap();
    assert_eq!(counts(&pool).await, (4, 4), "without a retention no week is dropped");
    run_maintenance(&pool, Some(30 * DAY)).await.unwrap().unwrap();
    assert_eq!(counts(&pool).await, (3, 3), "a week with a queued execution is kept whole");
    sqlx::query(
        "UPDATE script_executions SET status = 'cancelled', finished_at = now() WHERE status = 'queued'",
    )
    .execute(&pool)
    .await
    .unwrap();
    run_maintenance(&pool, Some(30 * DAY)).await.unwrap().unwrap();
    assert_eq!(counts(&pool).await, (1, 1));
}

#[tokio::test]
async fn partitions_of_the_coming_weeks_are_created_in_advance() {
    let database = TestDatabase::create().await;
    let pool = database.pool().await;
    run_maintenance(&pool, None).await.unwrap().unwrap();
    execution(&pool, "-27 days", "queued").await;
    assert_eq!(counts(&pool).await, (1, 1));
}

/// Drops this week's partition. A jump of the database's clock or a month without maintenance has the same effect.
async fn without_this_week(pool: &PgPool) {
    for parent in ["script_executions", "execution_logs"] {
        let drop = format!(
            "DO $$ BEGIN EXECUTE 'DROP TABLE {parent}_'
                 || to_char(date_trunc('week', now() AT TIME ZONE 'UTC'), 'YYYYMMDD'); END $$"
        );
        sqlx::query(sqlx::AssertSqlSafe(drop)).execute(pool).await.unwrap();
    }
}

#[tokio::test]
async fn without_a_partition_executions_are_refused_until_it_is_made() {
    let server = Server::start().await;
    let client = server.client("demo").await;
    let script = client.script("n", "export default () => 1").await;
    let body = json!({ "script_id": script["id"] });
    without_this_week(&server.pool).await;
    let refused = client.post("/executions/", body.clone()).await;
    assert_eq!(refused.json(503)["code"], "unavailable");
    assert_eq!(refused.header("retry-after"), "2");
    run_maintenance(&server.pool, None).await.unwrap().unwrap();
    client.post("/executions/", body).await.json(202);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_partition_events_wait_until_it_is_made() {
    let (server, queues) = (Server::start().await, Queues::create());
    let script = script(&server).await;
    without_this_week(&server.pool).await;
    // Sequences count the tries of transactions that are rolled back, too.
    for statement in [
        "CREATE SEQUENCE tries",
        "CREATE FUNCTION note_try() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM nextval('tries'); RETURN NEW; END $$",
        "CREATE TRIGGER note BEFORE INSERT ON idempotency_keys FOR EACH ROW EXECUTE FUNCTION note_try()",
    ] {
        sqlx::query(statement).execute(&server.pool).await.unwrap();
    }
    let _ingest = ingest::run(&server, &queues);
    queues.publish_event(&event(&script, "a").to_string()).await;
    until("two tries", async || number(&server.pool, "SELECT last_value FROM tries").await >= 2).await;
    run_maintenance(&server.pool, None).await.unwrap().unwrap();
    until("the execution", async || {
        number(&server.pool, "SELECT count(*) FROM script_executions").await == 1
    })
    .await;
    assert_eq!(queues.ready(&queues.topology.dead).await, 0);
}
