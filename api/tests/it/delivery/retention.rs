//! Weeks that go, and rows that fit into none.

use api::background::retention::tend;
use sqlx::PgPool;
use std::time::Duration;
use test_support::TestDatabase;

const DAY: Duration = Duration::from_hours(24);

/// An execution with one line, by its id's age. `status` is `completed` or `queued`.
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

/// Executions and lines.
async fn counts(pool: &PgPool) -> (i64, i64) {
    let executions = number(pool, "SELECT count(*) FROM script_executions").await;
    (executions, number(pool, "SELECT count(*) FROM execution_logs").await)
}

const MISFITS: &str =
    "SELECT (SELECT count(*) FROM script_executions_default) + (SELECT count(*) FROM execution_logs_default)";

#[tokio::test]
async fn a_week_goes_when_all_of_it_is_older_than_the_retention_and_over() {
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
    assert_eq!(number(&pool, MISFITS).await, 0);
    tend(&pool, None).await.unwrap();
    assert_eq!(counts(&pool).await, (4, 4), "without a retention everything stays");
    tend(&pool, Some(30 * DAY)).await.unwrap();
    assert_eq!(counts(&pool).await, (3, 3), "the week with a run that waits stays whole");
    sqlx::query(
        "UPDATE script_executions SET status = 'cancelled', finished_at = now() WHERE status = 'queued'",
    )
    .execute(&pool)
    .await
    .unwrap();
    tend(&pool, Some(30 * DAY)).await.unwrap();
    assert_eq!(counts(&pool).await, (1, 1));
}

#[tokio::test]
async fn the_weeks_to_come_are_made_ahead() {
    let database = TestDatabase::create().await;
    let pool = database.pool().await;
    tend(&pool, None).await.unwrap();
    execution(&pool, "-27 days", "queued").await;
    assert_eq!(number(&pool, MISFITS).await, 0);
}

#[tokio::test]
async fn rows_of_a_clock_that_was_ahead_move_into_their_week_when_it_is_made() {
    let database = TestDatabase::create().await;
    let pool = database.pool().await;
    execution(&pool, "-50 days", "queued").await;
    assert_eq!(number(&pool, MISFITS).await, 2, "no week holds them yet");
    number(&pool, "SELECT create_execution_partitions(now(), now() + interval '60 days')::bigint").await;
    assert_eq!((number(&pool, MISFITS).await, counts(&pool).await), (0, (1, 1)));
    // The week is as good as any other: its rows are final, and what comes next fits in.
    execution(&pool, "-50 days 1 second", "completed").await;
    let refused = sqlx::query("UPDATE script_executions SET status = 'queued' WHERE status = 'completed'");
    assert!(refused.execute(&pool).await.is_err());
    assert_eq!((number(&pool, MISFITS).await, counts(&pool).await), (0, (2, 2)));
}

#[tokio::test]
async fn rows_of_a_clock_that_was_far_behind_go_by_when_they_ended() {
    let database = TestDatabase::create().await;
    let pool = database.pool().await;
    execution(&pool, "4000 days", "completed").await;
    execution(&pool, "3999 days", "queued").await;
    tend(&pool, Some(30 * DAY)).await.unwrap();
    assert_eq!((number(&pool, MISFITS).await, counts(&pool).await), (2, (1, 1)), "the one that waits stays");
}
