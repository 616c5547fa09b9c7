//! Maintenance beside readers and writers, and interrupted half-way.

use super::{KEEP, database_with_history, execute, insert, left, maintain, number, week_of};
use crate::server::Server;
use api::testing::background::retention::{Report, run_maintenance};
use sqlx::{AssertSqlSafe, PgPool};
use std::time::Duration;
use tokio::task::JoinHandle;

/// Limits, in seconds, what takes milliseconds on an idle machine.
const LIMIT: Duration = Duration::from_secs(20);

/// Repeats a query until it returns this number.
async fn until(pool: &PgPool, expected: i64, sql: &str) {
    let asking = async {
        while number(pool, sql).await != expected {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(LIMIT, asking).await.unwrap_or_else(|_| panic!("never {expected}: {sql}"));
}

const DETACHING: &str = "SELECT count(*) FROM pg_inherits WHERE inhdetachpending";

fn start(pool: &PgPool) -> JoinHandle<Report> {
    let pool = pool.clone();
    tokio::spawn(async move { run_maintenance(&pool, Some(KEEP)).await.unwrap().unwrap() })
}

#[tokio::test]
async fn a_detach_that_waits_for_a_reader_blocks_no_request() {
    let server = Server::start().await;
    let pool = &server.pool;
    super::make_history(pool, &[(10, "completed"), (40, "completed")]).await;
    // From the api's first connection on, a statement that has to wait for a lock fails instead.
    let limit = "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET lock_timeout = ''50ms''', current_database()); END $$";
    execute(pool, limit).await;
    let client = server.client("demo").await;
    let script = client.script("n", "export default () => 1").await;

    let mut reader = pool.begin().await.unwrap();
    sqlx::query("SELECT count(*) FROM script_executions").execute(&mut *reader).await.unwrap();
    let maintenance = start(pool);
    until(pool, 1, DETACHING).await;
    let requests = async {
        let execution = crate::executions::execute(&client, &script).await;
        crate::executions::complete(&server, crate::executions::id_of(&execution)).await;
        client.get("/executions/").await.json(200);
        // Like heartbeat and reaper: over all weeks, with a condition that prunes none.
        let lease = "UPDATE script_executions SET lease_expires_at = now() WHERE status = 'running'";
        sqlx::query(lease).execute(&server.state.pool).await.unwrap();
    };
    tokio::time::timeout(LIMIT, requests).await.unwrap();
    assert!(!maintenance.is_finished());
    reader.rollback().await.unwrap();
    let report = maintenance.await.unwrap();
    assert!(report.weeks_dropped > 0 && report.failures == 0, "{report:?}");
}

#[tokio::test]
async fn an_interrupted_detach_is_finished_by_the_next_round() {
    let (_database, pool) = database_with_history("completed").await;
    let mut reader = pool.begin().await.unwrap();
    sqlx::query("SELECT count(*) FROM script_executions").execute(&mut *reader).await.unwrap();
    let maintenance = start(&pool);
    until(&pool, 1, DETACHING).await;
    // This has the effect of the statement's time limit, or of a restart of the server.
    execute(
        &pool,
        "SELECT pg_cancel_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE 'ALTER TABLE%CONCURRENTLY'",
    )
    .await;
    // Every further week fails at once, since one detach is in progress.
    let report = maintenance.await.unwrap();
    assert!(report.weeks_dropped == 0 && report.failures > 0, "{report:?}");
    assert_eq!(number(&pool, DETACHING).await, 1);

    reader.rollback().await.unwrap();
    let report = maintain(&pool, Some(KEEP)).await;
    assert_eq!((report.failures, number(&pool, DETACHING).await), (0, 0), "{report:?}");
    assert_eq!(left(&pool).await, (1, vec!["10".to_owned()]));
}

#[tokio::test]
async fn a_run_committed_before_the_detach_is_restored() {
    let (_database, pool) = database_with_history("completed").await;
    let mut writer = pool.begin().await.unwrap();
    let late = insert(50, "queued");
    sqlx::query(AssertSqlSafe(late)).execute(&mut *writer).await.unwrap();
    let maintenance = start(&pool);
    until(&pool, 1, DETACHING).await;
    writer.commit().await.unwrap();
    let report = maintenance.await.unwrap();
    assert_eq!((report.weeks_kept, report.failures), (1, 0), "{report:?}");
    assert_eq!(left(&pool).await, (3, ["10", "50", "50"].map(str::to_owned).to_vec()), "its week is whole");
    assert_eq!(
        number(&pool, "SELECT count(*) FROM outbox JOIN script_executions e ON e.id = execution_id").await,
        1,
        "a message that came meanwhile found nothing: it is published again"
    );
    execute(
        &pool,
        "UPDATE script_executions SET status = 'cancelled', finished_at = now() WHERE status = 'queued'",
    )
    .await;
    assert_eq!(maintain(&pool, Some(KEEP)).await.weeks_dropped, 1);
    assert_eq!(left(&pool).await, (1, vec!["10".to_owned()]));
}

#[tokio::test]
async fn a_week_left_between_detach_and_drop_is_dropped() {
    let (_database, pool) = database_with_history("completed").await;
    for (days, parents) in [(40, &["script_executions"][..]), (50, &["script_executions", "execution_logs"])]
    {
        let table = week_of(&pool, days).await;
        execute(
            &pool,
            &format!("INSERT INTO retiring_weeks (week) VALUES ('{}')", &table[table.len() - 8..]),
        )
        .await;
        for parent in parents {
            let child = table.replace("script_executions", parent);
            execute(&pool, &format!("ALTER TABLE {parent} DETACH PARTITION {child}")).await;
        }
    }
    let report = maintain(&pool, Some(KEEP)).await;
    assert_eq!(report.failures, 0, "{report:?}");
    for days in [40, 50] {
        let table = week_of(&pool, days).await;
        assert_eq!(number(&pool, &format!("SELECT count(to_regclass('{table}'))")).await, 0);
    }
}

#[tokio::test]
async fn a_half_detached_week_returns_when_the_retention_grows() {
    let (_database, pool) = database_with_history("completed").await;
    let mut reader = pool.begin().await.unwrap();
    sqlx::query("SELECT count(*) FROM script_executions").execute(&mut *reader).await.unwrap();
    let maintenance = start(&pool);
    until(&pool, 1, DETACHING).await;
    maintenance.abort();
    assert!(maintenance.await.unwrap_err().is_cancelled());
    reader.rollback().await.unwrap();
    // The server continues the statement of a client that has disconnected.
    until(&pool, 0, DETACHING).await;
    execute(&pool, "UPDATE maintenance SET holder = NULL, lease_expires_at = NULL").await;
    let report = maintain(&pool, None).await;
    assert_eq!((report.weeks_dropped, report.failures), (0, 0), "{report:?}");
    assert_eq!(left(&pool).await.0, 3);
    assert_eq!(number(&pool, "SELECT count(*) FROM retiring_weeks").await, 0);
    assert_eq!(left(&pool).await.1.len(), 3);
}

#[tokio::test]
async fn the_query_for_unfinished_runs_locks_only_its_week() {
    let (_database, pool) = database_with_history("completed").await;
    let table = week_of(&pool, 50).await;
    let mut other = pool.begin().await.unwrap();
    sqlx::query(AssertSqlSafe(format!("LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")))
        .execute(&mut *other)
        .await
        .unwrap();
    let maintenance = start(&pool);
    let looking =
        format!("SELECT count(*) FROM pg_locks WHERE relation = '{table}'::regclass AND NOT granted");
    until(&pool, 1, &looking).await;
    let held = format!(
        "SELECT count(*) FROM pg_locks held
         WHERE held.relation IN ('script_executions'::regclass, 'execution_logs'::regclass) AND held.pid IN
             (SELECT pid FROM pg_locks WHERE relation = '{table}'::regclass AND NOT granted)"
    );
    assert_eq!(number(&pool, &held).await, 0);
    other.rollback().await.unwrap();
    assert_eq!(maintenance.await.unwrap().failures, 0);
}
