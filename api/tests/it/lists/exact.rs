//! A list contains exactly the rows that its filters allow: compared with the simplest statement for the same filters.

use super::{history, lists_pool, script, with_each_trigger_and_status, workspace};
use api::testing::{
    db::{self, executions::ExecutionFilter},
    model::pagination::PageRequest,
};
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgPool;
use uuid::Uuid;

async fn ids(pool: &PgPool, workspace: Uuid, filter: &ExecutionFilter, page: PageRequest) -> Vec<Uuid> {
    let executions = db::executions::list(pool, workspace, filter, page).await.unwrap();
    executions.iter().map(|execution| execution.id).collect()
}

async fn plainly(pool: &PgPool, workspace: Uuid, filter: &ExecutionFilter, page: PageRequest) -> Vec<Uuid> {
    sqlx::query_scalar(
        "SELECT id FROM script_executions
         WHERE workspace_id = $1 AND ($2 IS NULL OR id < $2) AND ($3 IS NULL OR script_id = $3)
           AND ($4 IS NULL OR status = $4) AND ($5 IS NULL OR trigger_type = $5)
           AND ($6 IS NULL OR queued_at > $6) AND ($7 IS NULL OR queued_at < $7)
         ORDER BY id DESC LIMIT $8",
    )
    .bind(workspace)
    .bind(page.before)
    .bind(filter.script_id)
    .bind(filter.status.map(shared::execution::Status::as_str))
    .bind(filter.trigger_type.map(shared::execution::TriggerType::as_str))
    .bind(filter.created_after)
    .bind(filter.created_before)
    .bind(page.rows())
    .fetch_all(pool)
    .await
    .unwrap()
}

/// Returns the time of the workspace's execution at this position, counted from the newest.
async fn queued_at(pool: &PgPool, workspace: Uuid, number: i64) -> DateTime<Utc> {
    sqlx::query_scalar(
        "SELECT queued_at FROM script_executions WHERE workspace_id = $1 ORDER BY id DESC OFFSET $2 LIMIT 1",
    )
    .bind(workspace)
    .bind(number)
    .fetch_one(pool)
    .await
    .unwrap()
}

#[tokio::test]
async fn every_combination_of_filters_gives_what_it_says() {
    let (database, pool) = history(4_000, 3).await;
    let lists = lists_pool(database.url());
    let mut found = 0;
    // The first has every kind of execution, the second has a queue.
    for number in [3, 4] {
        let workspace = workspace(number);
        let (old, new) = (queued_at(&pool, workspace, 18).await, queued_at(&pool, workspace, 3).await);
        for script_id in [None, Some(script(number, 0))] {
            for (created_after, created_before) in
                [(None, None), (Some(old), None), (None, Some(new)), (Some(old), Some(new))]
            {
                let times = ExecutionFilter {
                    script_id,
                    created_after,
                    created_before,
                    ..ExecutionFilter::default()
                };
                for filter in with_each_trigger_and_status(times) {
                    let first = PageRequest { before: None, per_page: 4 };
                    let page = ids(&lists, workspace, &filter, first).await;
                    assert_eq!(page, plainly(&pool, workspace, &filter, first).await, "{filter:?}");
                    let next = PageRequest { before: page.last().copied(), per_page: 4 };
                    let page = ids(&lists, workspace, &filter, next).await;
                    assert_eq!(page, plainly(&pool, workspace, &filter, next).await, "{filter:?}, {next:?}");
                    found += page.len();
                }
            }
        }
    }
    assert!(found > 100, "{found} on second pages");
}

/// Ids are dated by an api's clock, `queued_at` by the database's.
#[tokio::test]
async fn time_filters_are_exact_despite_clock_skew() {
    let (database, pool) = history(0, 1).await;
    let lists = lists_pool(database.url());
    let workspace = workspace(1);
    let queued: DateTime<Utc> = "2026-03-04T05:06:07.000001Z".parse().unwrap();
    let week = sqlx::query("SELECT create_execution_partitions($1, $1 + interval '1 day')").bind(queued);
    week.execute(&pool).await.unwrap();
    let mut executions = Vec::new();
    for ahead_s in [-299, 0, 299] {
        let milliseconds = (queued + TimeDelta::seconds(ahead_s)).timestamp_millis();
        let id = Uuid::from_u128(u128::try_from(milliseconds).unwrap() << 80 | 0x7000_8000_0000_0000_0000);
        sqlx::query(
            "INSERT INTO script_executions (id, workspace_id, trigger_type, build_hash, code_type, queued_at)
             VALUES ($1, $2, 'api', 'none', 'raw', $3)",
        )
        .bind(id)
        .bind(workspace)
        .bind(queued)
        .execute(&pool)
        .await
        .unwrap();
        executions.insert(0, id);
    }
    let page = PageRequest { before: None, per_page: 10 };
    let list = async |created_after, created_before| {
        ids(
            &lists,
            workspace,
            &ExecutionFilter { created_after, created_before, ..ExecutionFilter::default() },
            page,
        )
        .await
    };
    let microsecond = TimeDelta::microseconds(1);
    assert_eq!(list(Some(queued - microsecond), Some(queued + microsecond)).await, executions);
    assert!(list(Some(queued), None).await.is_empty());
    assert!(list(None, Some(queued)).await.is_empty());
    assert_eq!(list(None, None).await, executions);
}

#[tokio::test]
async fn a_cancel_by_sql_appears_in_lists() {
    let (database, pool) = history(1_000, 1).await;
    let lists = lists_pool(database.url());
    let cancelled =
        ExecutionFilter { status: Some(shared::execution::Status::Cancelled), ..ExecutionFilter::default() };
    let page = PageRequest { before: None, per_page: 100 };
    assert!(ids(&lists, workspace(4), &cancelled, page).await.is_empty());
    // The statement of `docs/operator-guide.md`.
    let rows = sqlx::query(
        "UPDATE script_executions SET status = 'cancelled', finished_at = now() WHERE status IN ('queued', 'running')",
    )
    .execute(&pool)
    .await
    .unwrap()
    .rows_affected();
    assert!(rows > 0);
    let listed = db::executions::list(&lists, workspace(4), &cancelled, page).await.unwrap();
    assert!(!listed.is_empty());
    assert!(
        listed
            .iter()
            .all(|execution| execution.error.as_ref().is_some_and(|error| error.code == "cancelled"))
    );
}

/// The kinds by which lists group executions tell every trigger and every end apart.
#[tokio::test]
async fn execution_kinds_separate_triggers_and_outcomes() {
    let (_database, pool) = history(0, 1).await;
    let triggers: Vec<&str> =
        shared::execution::TriggerType::ALL.iter().map(|trigger| trigger.as_str()).collect();
    let kinds: Vec<i16> = sqlx::query_scalar(
        "SELECT DISTINCT execution_kind(trigger_type, error_code)
         FROM unnest($1::text[]) trigger_type, unnest(ARRAY[NULL, 'timeout', 'cancelled']) error_code",
    )
    .bind(&triggers)
    .fetch_all(&pool)
    .await
    .unwrap();
    assert_eq!(kinds.len(), triggers.len() * 3);
}
