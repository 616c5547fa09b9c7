//! History goes by weeks, and only when nothing of the week is still to be run.

use api::background::retention::tend;
use sqlx::{AssertSqlSafe, PgPool};
use std::time::Duration;
use test_support::TestDatabase;

const KEEP: Duration = Duration::from_hours(30 * 24);

/// A database with executions of 10, 40 and 50 days ago; the oldest has this status.
async fn database_with_history(oldest: &str) -> (TestDatabase, PgPool) {
    let database = TestDatabase::create().await;
    let pool = database.pool().await;
    execute(&pool, "SELECT create_execution_partitions(now() - interval '60 days', now())").await;
    execute(&pool, "INSERT INTO workspaces (id, slug) VALUES (gen_random_uuid(), 'demo')").await;
    for (days, status) in [(10, "completed"), (40, "completed"), (50, oldest)] {
        execute(
            &pool,
            &format!(
                "WITH execution AS (
                     INSERT INTO script_executions (id, workspace_id, trigger_type, build_hash, code_type, status, finished_at)
                     SELECT uuid_v7_floor(now() - interval '{days} days'), id, 'api', 'hash', 'main_fn', '{status}',
                         CASE WHEN '{status}' = 'completed' THEN now() END
                     FROM workspaces RETURNING id)
                 INSERT INTO execution_logs (execution_id, seq, ts, level, message)
                 SELECT id, 1, now(), 'info', '{days}' FROM execution"
            ),
        )
        .await;
    }
    (database, pool)
}

async fn execute(pool: &PgPool, sql: &str) {
    sqlx::query(AssertSqlSafe(sql.to_owned())).execute(pool).await.unwrap();
}

/// Ages in days of what is left, as its log lines tell them.
async fn left(pool: &PgPool) -> (i64, Vec<String>) {
    let executions =
        sqlx::query_scalar("SELECT count(*) FROM script_executions").fetch_one(pool).await.unwrap();
    let lines =
        sqlx::query_scalar("SELECT message FROM execution_logs ORDER BY message").fetch_all(pool).await;
    (executions, lines.unwrap())
}

#[tokio::test]
async fn weeks_older_than_the_retention_go_with_their_logs() {
    let (_database, pool) = database_with_history("completed").await;
    tend(&pool, Some(KEEP)).await.unwrap();
    assert_eq!(left(&pool).await, (1, vec!["10".to_owned()]));
}

#[tokio::test]
async fn a_week_with_a_run_that_is_still_queued_stays() {
    let (_database, pool) = database_with_history("queued").await;
    tend(&pool, Some(KEEP)).await.unwrap();
    assert_eq!(left(&pool).await, (2, vec!["10".to_owned(), "50".to_owned()]));
}

#[tokio::test]
async fn without_a_retention_everything_stays() {
    let (_database, pool) = database_with_history("completed").await;
    tend(&pool, None).await.unwrap();
    assert_eq!(left(&pool).await.0, 3);
}
