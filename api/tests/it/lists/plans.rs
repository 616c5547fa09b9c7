//! The cost of a page of executions, as PostgreSQL reports it, does not grow with the history.

use super::{
    history, lists_pool, make_history,
    plan::{Plan, Plans, explain_everything},
    script, with_each_trigger_and_status, workspace,
};
use api::testing::{
    db::{self, executions::ExecutionFilter},
    model::pagination::PageRequest,
};
use chrono::{DateTime, TimeDelta, Utc};
use shared::execution::{Status, TriggerType};
use sqlx::PgPool;
use test_support::TestDatabase;
use uuid::Uuid;

const ROWS: i64 = 60_000;
const WEEKS: i32 = 8;
const PAGE: PageRequest = PageRequest { before: None, per_page: 50 };
/// Number of kinds of executions: triggers times the ends that `error_code` tells apart.
const KINDS: f64 = 15.0;
/// Number of queued executions in workspace 4: 2 % of its share of the history.
const QUEUED: f64 = 120.0;
/// Plan nodes that a list of executions may have.
const STEPS: [&str; 9] = [
    "Limit",
    "Sort",
    "Nested Loop",
    "Function Scan",
    "Subquery Scan",
    "CTE Scan",
    "Append",
    "Merge Append",
    "Index Scan",
];

/// Panics if a page cost more than a page may cost in a table with this many partitions.
#[track_caller]
fn hold(plan: &Plan, partitions: f64, what: &str) {
    for kind in plan.kinds() {
        assert!(STEPS.contains(&kind), "{what}: {kind} in {plan}");
    }
    let page = i32::try_from(PAGE.rows()).map(f64::from).unwrap();
    // A page of each kind, and one row of each partition, among which the newest is found.
    let rows = KINDS * (page + partitions) + QUEUED;
    let (read, sorted, blocks) = (plan.rows_read(), plan.rows_sorted(), plan.blocks());
    assert!(read <= rows, "{what}: {read} rows read in {plan}");
    assert!(sorted <= KINDS * page, "{what}: {sorted} rows sorted in {plan}");
    assert!(blocks <= 5.0 * KINDS * partitions + 2.0 * rows, "{what}: {blocks} blocks in {plan}");
}

async fn partitions(pool: &PgPool) -> f64 {
    let count: i32 = sqlx::query_scalar(
        "SELECT count(*)::integer FROM pg_inherits WHERE inhparent = 'script_executions'::regclass",
    )
    .fetch_one(pool)
    .await
    .unwrap();
    count.into()
}

async fn plan(
    plans: &Plans,
    pool: &PgPool,
    workspace: Uuid,
    filter: &ExecutionFilter,
    page: PageRequest,
) -> Plan {
    db::executions::list(pool, workspace, filter, page).await.unwrap();
    plans.take()
}

fn weeks_ago(weeks: i64) -> DateTime<Utc> {
    Utc::now() - TimeDelta::weeks(weeks)
}

/// Returns the filter without times, with a time after, with a time before, and with both.
fn with_each_time(filter: ExecutionFilter) -> [ExecutionFilter; 4] {
    let after = |filter| ExecutionFilter { created_after: Some(weeks_ago(6)), ..filter };
    let before = |filter| ExecutionFilter { created_before: Some(weeks_ago(3)), ..filter };
    [filter, after(filter), before(filter), before(after(filter))]
}

#[tokio::test]
async fn every_filter_reads_only_the_rows_of_its_page() {
    let (database, pool) = history(ROWS, WEEKS).await;
    sqlx::query("ANALYZE script_executions").execute(&pool).await.unwrap();
    explain_everything(&pool).await;
    let (lists, partitions) = (lists_pool(database.url()), partitions(&pool).await);
    let plans = Plans::listen();
    let mut pages = 0;
    // The workspaces have executions of one kind, failed ones only, all kinds, and a queue. The last script is in none.
    for number in 1..=4 {
        for script_id in [None, Some(script(number, 0)), Some(script(99, 0))] {
            for filter in with_each_time(ExecutionFilter { script_id, ..ExecutionFilter::default() }) {
                for filter in with_each_trigger_and_status(filter) {
                    let plan = plan(&plans, &lists, workspace(number), &filter, PAGE).await;
                    hold(&plan, partitions, &format!("workspace {number}, {filter:?}"));
                    pages += 1;
                }
            }
        }
    }
    assert_eq!(pages, 4 * 3 * 4 * 36);
}

#[tokio::test]
async fn the_last_page_costs_no_more_than_the_first() {
    let (database, pool) = history(ROWS, WEEKS).await;
    explain_everything(&pool).await;
    let (lists, partitions) = (lists_pool(database.url()), partitions(&pool).await);
    let plans = Plans::listen();
    let filter = ExecutionFilter { status: Some(Status::Completed), ..ExecutionFilter::default() };
    let mut last = PAGE;
    last.before = sqlx::query_scalar(
        "SELECT id FROM script_executions WHERE workspace_id = workspace_of_history(1) ORDER BY id OFFSET 20 LIMIT 1",
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    hold(&plan(&plans, &lists, workspace(1), &filter, last).await, partitions, "the last page");
}

#[tokio::test]
async fn times_choose_the_partitions_that_are_read() {
    let (database, pool) = history(ROWS, WEEKS).await;
    explain_everything(&pool).await;
    let lists = lists_pool(database.url());
    let plans = Plans::listen();
    let tables =
        async |filter: ExecutionFilter| plan(&plans, &lists, workspace(1), &filter, PAGE).await.tables();
    let day = |weeks| Some(weeks_ago(weeks) + TimeDelta::days(1));
    let one_day = ExecutionFilter {
        created_after: Some(weeks_ago(5)),
        created_before: day(5),
        ..ExecutionFilter::default()
    };
    // A day lies in two weeks at most. Rows that no week covers are in the default partition.
    assert!(tables(one_day).await <= 3);
    assert!(
        tables(ExecutionFilter { created_after: Some(weeks_ago(1)), ..ExecutionFilter::default() }).await
            <= 3 + 4,
        "and those to come"
    );
    assert!(
        tables(ExecutionFilter { created_before: Some(weeks_ago(7)), ..ExecutionFilter::default() }).await
            <= 4
    );
    assert!(tables(ExecutionFilter::default()).await > 8);
}

/// A connection plans a statement once, and a new week's partition is empty when its first list is read.
#[tokio::test]
async fn a_plan_prepared_on_empty_tables_stays_efficient() {
    let database = TestDatabase::create().await;
    let pool = database.pool().await;
    sqlx::raw_sql(super::HISTORY).execute(&pool).await.unwrap();
    // No statistics are collected in between, which would make PostgreSQL plan again.
    sqlx::raw_sql(
        "DO $$ DECLARE week regclass; BEGIN
             PERFORM create_execution_partitions(now() - interval '8 weeks', now());
             FOR week IN SELECT inhrelid FROM pg_inherits WHERE inhparent = 'script_executions'::regclass LOOP
                 EXECUTE format('ALTER TABLE %s SET (autovacuum_enabled = off)', week);
             END LOOP;
         END $$",
    )
    .execute(&pool)
    .await
    .unwrap();
    explain_everything(&pool).await;
    let lists = lists_pool(database.url());
    let mut connection = lists.acquire().await.unwrap();
    sqlx::query("SELECT 1").execute(&mut *connection).await.unwrap();
    drop(connection);
    let plans = Plans::listen();
    let filters = || {
        [None, Some(script(1, 0)), Some(script(1, 3))].into_iter().flat_map(|script_id| {
            with_each_trigger_and_status(ExecutionFilter { script_id, ..ExecutionFilter::default() })
        })
    };
    for filter in filters() {
        plan(&plans, &lists, workspace(1), &filter, PAGE).await;
    }
    make_history(&pool, ROWS, WEEKS).await;
    let partitions = partitions(&pool).await;
    for filter in filters() {
        let plan = plan(&plans, &lists, workspace(1), &filter, PAGE).await;
        hold(&plan, partitions, &format!("{filter:?}"));
    }
}

/// A list skips a backlog of another trigger without reading the history behind it.
#[tokio::test]
async fn listing_queued_executions_reads_no_history() {
    let (database, pool) = history(ROWS, WEEKS).await;
    explain_everything(&pool).await;
    let lists = lists_pool(database.url());
    let plans = Plans::listen();
    let filter = ExecutionFilter {
        status: Some(Status::Queued),
        trigger_type: Some(TriggerType::Cron),
        ..ExecutionFilter::default()
    };
    let plan = plan(&plans, &lists, workspace(4), &filter, PAGE).await;
    assert!(plan.rows_read() <= QUEUED, "{plan}");
}
