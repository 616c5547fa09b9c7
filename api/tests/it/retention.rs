//! History is dropped by weeks, and only when no execution of the week is queued or running.

mod plans;
mod races;

use api::testing::{
    background::retention::{Report, run_maintenance},
    db::retention::{end_lease, lag, take_lease},
};
use sqlx::{AssertSqlSafe, PgPool};
use std::time::Duration;
use test_support::TestDatabase;
use uuid::Uuid;

const KEEP: Duration = Duration::from_hours(30 * 24);

/// Creates a database with executions that are 10, 40 and 50 days old; the oldest has this status.
async fn database_with_history(oldest: &str) -> (TestDatabase, PgPool) {
    let database = TestDatabase::create().await;
    let pool = database.pool().await;
    make_history(&pool, &[(10, "completed"), (40, "completed"), (50, oldest)]).await;
    (database, pool)
}

/// Inserts an execution with one line for each age in days, and makes the weeks from the oldest on.
async fn make_history(pool: &PgPool, executions: &[(i32, &str)]) {
    let oldest = executions.iter().map(|(days, _)| *days).max().unwrap_or_default();
    execute(pool, &format!("SELECT create_execution_partitions(now() - interval '{oldest} days', now())"))
        .await;
    execute(
        pool,
        "INSERT INTO workspaces (id, slug) VALUES (gen_random_uuid(), 'demo') ON CONFLICT DO NOTHING",
    )
    .await;
    for (days, status) in executions {
        execute(pool, &insert(*days, status)).await;
    }
}

/// Returns the statement that writes an execution of this age, with one line that contains the age.
fn insert(days: i32, status: &str) -> String {
    format!(
        "WITH execution AS (
             INSERT INTO script_executions (id, workspace_id, trigger_type, build_hash, code_type, status, finished_at)
             SELECT uuid_v7_floor(now() - interval '{days} days'), id, 'api', 'hash', 'main_fn', '{status}',
                 CASE WHEN '{status}' = 'completed' THEN now() END
             FROM workspaces RETURNING id)
         INSERT INTO execution_logs (execution_id, seq, ts, level, message)
         SELECT id, 1, now(), 'info', '{days}' FROM execution"
    )
}

/// Returns the name of the table of executions that are this old.
async fn week_of(pool: &PgPool, days: i32) -> String {
    let name = "SELECT 'script_executions_'
        || to_char(date_trunc('week', now() AT TIME ZONE 'UTC' - make_interval(days => $1)), 'YYYYMMDD')";
    sqlx::query_scalar(name).bind(days).fetch_one(pool).await.unwrap()
}

async fn execute(pool: &PgPool, sql: &str) {
    sqlx::query(AssertSqlSafe(sql.to_owned())).execute(pool).await.unwrap();
}

async fn number(pool: &PgPool, sql: &str) -> i64 {
    sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(pool).await.unwrap()
}

/// Returns the ages in days of the remaining executions, from their log lines.
async fn left(pool: &PgPool) -> (i64, Vec<String>) {
    let executions = number(pool, "SELECT count(*) FROM script_executions").await;
    let lines =
        sqlx::query_scalar("SELECT message FROM execution_logs ORDER BY message").fetch_all(pool).await;
    (executions, lines.unwrap())
}

/// Returns the tables of weeks, attached or not.
async fn tables(pool: &PgPool) -> i64 {
    number(pool, r"SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relname ~ '_\d{8}$'").await
}

async fn maintain(pool: &PgPool, keep: Option<Duration>) -> Report {
    run_maintenance(pool, keep).await.unwrap().expect("no other process is at it")
}

#[tokio::test]
async fn weeks_older_than_the_retention_go_with_their_logs() {
    let (_database, pool) = database_with_history("completed").await;
    let before = tables(&pool).await;
    let report = maintain(&pool, Some(KEEP)).await;
    assert_eq!(left(&pool).await, (1, vec!["10".to_owned()]));
    assert_eq!((report.weeks_kept, report.failures), (0, 0), "{report:?}");
    assert_eq!(tables(&pool).await, before - 2 * i64::from(report.weeks_dropped), "their tables are gone");
    assert_eq!(number(&pool, "SELECT count(*) FROM retiring_weeks").await, 0);
}

#[tokio::test]
async fn a_week_with_a_run_that_is_still_queued_stays() {
    for status in ["queued", "running"] {
        let (_database, pool) = database_with_history(status).await;
        make_history(&pool, &[(60, "completed")]).await;
        let report = maintain(&pool, Some(KEEP)).await;
        assert_eq!(left(&pool).await, (2, vec!["10".to_owned(), "50".to_owned()]));
        assert_eq!((report.weeks_kept, report.failures), (1, 0), "older and newer weeks went: {report:?}");
    }
}

#[tokio::test]
async fn without_a_retention_everything_stays() {
    let (_database, pool) = database_with_history("completed").await;
    maintain(&pool, None).await;
    assert_eq!(left(&pool).await.0, 3);
}

#[tokio::test]
async fn a_step_that_fails_leaves_the_others_done() {
    let (_database, pool) = database_with_history("completed").await;
    let (oldest, next) = (week_of(&pool, 50).await, week_of(&pool, -25).await);
    execute(&pool, &format!("CREATE VIEW somebody_elses AS SELECT * FROM {oldest}")).await;
    execute(&pool, &format!("DROP TABLE {next}")).await;
    execute(&pool, "UPDATE maintenance SET succeeded_at = now() - interval '1 hour'").await;
    execute(&pool, &old_keys(1)).await;

    let report = maintain(&pool, Some(KEEP)).await;
    assert_eq!((report.partitions_made, report.failures, report.keys_pruned), (1, 1, 1), "{report:?}");
    assert_eq!(left(&pool).await, (1, vec!["10".to_owned()]), "what can't be dropped yet is out of the way");
    assert!(lag(&pool).await.unwrap().age_s >= 3_600.0, "that was no success");

    execute(&pool, "DROP VIEW somebody_elses").await;
    let report = maintain(&pool, Some(KEEP)).await;
    assert_eq!((report.weeks_dropped, report.failures), (1, 0), "{report:?}");
    assert!(lag(&pool).await.unwrap().age_s < 3_600.0);
}

#[tokio::test]
async fn only_one_process_at_a_time_does_maintenance() {
    let database = TestDatabase::create().await;
    let (pool, lease) = (database.pool().await, Duration::from_mins(2));
    let [one, other] = [Uuid::now_v7(), Uuid::now_v7()];
    assert!(take_lease(&pool, one, lease).await.unwrap());
    assert!(take_lease(&pool, one, lease).await.unwrap(), "it may go on");
    assert!(!take_lease(&pool, other, lease).await.unwrap());
    assert_eq!(run_maintenance(&pool, None).await.unwrap(), None);
    for ends in ["now() - interval '1 second'", "now() + interval '1 day'"] {
        execute(&pool, &format!("UPDATE maintenance SET lease_expires_at = {ends}")).await;
        assert!(
            run_maintenance(&pool, None).await.unwrap().is_some(),
            "over, or from before the clock was set"
        );
        assert!(take_lease(&pool, one, lease).await.unwrap());
    }
    end_lease(&pool, other, true).await.unwrap();
    assert!(!take_lease(&pool, other, lease).await.unwrap(), "it was not its to end");
}

/// Returns the statement that writes this many keys that are old enough to be deleted.
fn old_keys(count: i32) -> String {
    format!(
        "INSERT INTO idempotency_keys (workspace_id, key, request_hash, execution_id, created_at)
         SELECT gen_random_uuid(), i::text, '', gen_random_uuid(), now() - interval '8 days' - i * interval '1 second'
         FROM generate_series(1, {count}) i"
    )
}

#[tokio::test]
async fn keys_and_nonces_are_forgotten_in_bounded_batches() {
    let database = TestDatabase::create().await;
    let pool = database.pool().await;
    execute(&pool, &old_keys(2_500)).await;
    execute(
        &pool,
        "INSERT INTO idempotency_keys (workspace_id, key, request_hash, execution_id, created_at)
         VALUES (gen_random_uuid(), 'recent', '', gen_random_uuid(), now() - interval '6 days')",
    )
    .await;
    execute(
        &pool,
        "INSERT INTO request_nonces (nonce, seen_at)
         SELECT i::text, now() - i * interval '59 seconds' FROM generate_series(1, 30) i",
    )
    .await;
    for statement in [
        "CREATE TABLE batches (deleted_from text, deleted bigint)",
        "CREATE FUNCTION note_batch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             INSERT INTO batches SELECT TG_TABLE_NAME, count(*) FROM gone; RETURN NULL; END $$",
        "CREATE TRIGGER note AFTER DELETE ON idempotency_keys REFERENCING OLD TABLE AS gone EXECUTE FUNCTION note_batch()",
    ] {
        execute(&pool, statement).await;
    }
    let report = maintain(&pool, None).await;
    assert_eq!((report.keys_pruned, report.nonces_pruned, report.failures), (2_500, 20, 0));
    assert_eq!(number(&pool, "SELECT count(*) FROM idempotency_keys").await, 1);
    assert_eq!(number(&pool, "SELECT max(deleted) FROM batches").await, 1_000);
}

#[tokio::test]
async fn a_table_detached_by_an_operator_is_left_alone() {
    let (_database, pool) = database_with_history("completed").await;
    let oldest = week_of(&pool, 50).await;
    execute(&pool, &format!("ALTER TABLE script_executions DETACH PARTITION {oldest}")).await;
    let report = maintain(&pool, Some(KEEP)).await;
    assert_eq!(report.failures, 0, "{report:?}");
    assert_eq!(number(&pool, &format!("SELECT count(*) FROM {oldest}")).await, 1);
}

#[tokio::test]
async fn the_weeks_ahead_are_counted_up_to_the_first_gap() {
    let database = TestDatabase::create().await;
    let pool = database.pool().await;
    maintain(&pool, None).await;
    let days = async || lag(&pool).await.unwrap().ahead_s / 86_400.0;
    assert!((28.0..=35.0).contains(&days().await), "{}", days().await);
    execute(
        &pool,
        &format!("DROP TABLE {}", week_of(&pool, -14).await.replace("script_executions", "execution_logs")),
    )
    .await;
    assert!((7.0..=14.0).contains(&days().await), "{}", days().await);
    execute(&pool, &format!("DROP TABLE {}", week_of(&pool, 0).await)).await;
    assert!(days().await < 0.001);
}
