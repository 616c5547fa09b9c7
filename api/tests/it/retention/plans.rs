//! Maintenance queries of a week cost the same however large the week is.

use super::{database_with_history, execute, week_of};
use api::testing::db::retention::{INDEXES_ONLY, Week, unfinished_sql};
use sqlx::{AssertSqlSafe, Executor as _, Row as _, types::chrono::NaiveDate};

#[tokio::test]
async fn the_query_for_unfinished_runs_uses_both_partial_indexes() {
    let (_database, pool) = database_with_history("completed").await;
    let table = week_of(&pool, 40).await;
    let monday = NaiveDate::parse_from_str(&table[table.len() - 8..], "%Y%m%d").unwrap();
    // By the old statistics half of the week is queued, so that a sequential scan would find a row on the first page.
    for statement in [
        format!(
            "INSERT INTO {table} (id, workspace_id, trigger_type, build_hash, code_type, status)
             SELECT overlay((SELECT id FROM {table})::text placing lpad(to_hex(i), 12, '0') from 25)::uuid, gen_random_uuid(),
                 'api', 'hash', 'main_fn', CASE i % 2 WHEN 0 THEN 'queued' ELSE 'running' END
             FROM generate_series(1, 5000) i"
        ),
        format!("ANALYZE {table}"),
        format!("UPDATE {table} SET status = 'completed', finished_at = now() WHERE finished_at IS NULL"),
    ] {
        execute(&pool, &statement).await;
    }
    let plan = async |settings: &'static str| {
        let mut transaction = pool.begin().await.unwrap();
        transaction.execute(settings).await.unwrap();
        let explain = format!("EXPLAIN {}", unfinished_sql(Week(monday)));
        let lines = transaction.fetch_all(AssertSqlSafe(explain)).await.unwrap();
        lines.iter().map(|line| line.get::<String, _>(0)).collect::<Vec<_>>().join("\n")
    };
    let plan_of_ours = plan(INDEXES_ONLY).await;
    for index in ["workspace_id_id_idx", "lease_expires_at_idx"] {
        assert!(plan_of_ours.contains(&format!("{table}_{index}")), "{plan_of_ours}");
    }
    assert!(!plan_of_ours.contains("Seq Scan"), "{plan_of_ours}");
    let left_to_the_planner = plan("SELECT 1").await;
    assert!(left_to_the_planner.contains("Seq Scan"), "the statistics mislead nobody: {left_to_the_planner}");
}

#[tokio::test]
async fn history_has_no_foreign_keys_and_no_default_partition() {
    // Either would make a concurrent detach impossible, or scan other tables.
    let (_database, pool) = database_with_history("completed").await;
    let found: i64 = sqlx::query_scalar(
        "SELECT (SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND (conrelid = ANY (tables) OR confrelid = ANY (tables)))
             + (SELECT count(*) FROM pg_partitioned_table WHERE partdefid <> 0)
         FROM (SELECT ARRAY['script_executions'::regclass, 'execution_logs'::regclass]::oid[] AS tables) AS ours",
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    assert_eq!(found, 0);
}
