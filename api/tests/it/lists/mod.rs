//! Lists: exact, in a bounded number of steps, without slowing other workspaces.

mod bytes;
mod exact;
mod plan;
mod plans;
mod shares;

use api::testing::{
    config::DatabaseConfig,
    db::{executions::ExecutionFilter, pool},
};
use shared::execution::{Status, TriggerType};
use sqlx::{Executor, PgPool};
use std::sync::Arc;
use test_support::TestDatabase;
use uuid::Uuid;

const HISTORY: &str = include_str!("../../../../tests/history.sql");

/// Creates a database with a history as `tests/history.sql` describes it.
async fn history(rows: i64, weeks: i32) -> (TestDatabase, PgPool) {
    let database = TestDatabase::create().await;
    let pool = database.pool().await;
    pool.execute(HISTORY).await.unwrap();
    make_history(&pool, rows, weeks).await;
    (database, pool)
}

async fn make_history(pool: &PgPool, rows: i64, weeks: i32) {
    let make = sqlx::query("SELECT make_history($1, $2, 10)").bind(rows).bind(weeks);
    make.execute(pool).await.unwrap();
}

/// Returns the pool with which an api reads lists.
fn lists_pool(url: &str) -> PgPool {
    let config = DatabaseConfig { url: url.to_owned().into(), pool_size: 4 };
    pool::pools(&config, &Arc::default()).unwrap().lists
}

/// Returns a workspace of `tests/history.sql`.
fn workspace(number: u128) -> Uuid {
    Uuid::from_u128(0x0000_0000_0000_7000_8000 << 48 | number)
}

/// Returns a script of a workspace of `tests/history.sql`.
fn script(workspace: u128, number: u128) -> Uuid {
    Uuid::from_u128(0x0000_0000_0000_7000_9000 << 48 | (workspace * 100 + number))
}

/// Returns `filter` with every trigger and status, and with none.
fn with_each_trigger_and_status(filter: ExecutionFilter) -> impl Iterator<Item = ExecutionFilter> {
    let triggers = std::iter::once(None).chain(TriggerType::ALL.iter().copied().map(Some));
    triggers.flat_map(move |trigger_type| {
        let statuses = std::iter::once(None).chain(Status::ALL.iter().copied().map(Some));
        statuses.map(move |status| ExecutionFilter { trigger_type, status, ..filter })
    })
}
