//! Deletes all rows of a workspace.
//!
//! Invariant: the sources of new work are deleted first, so that no row is added behind the deletion. Every step can be
//! repeated, and a repetition does not read again what the last one has deleted. The workspace's own row stays, without
//! its token: its id is never given to another workspace.

mod builds;
mod history;

pub use history::{DELETE_LOGS, SELECT_CHUNK};

use sqlx::PgPool;
use std::fmt;
use uuid::Uuid;

/// Limits the rows that one statement deletes from a table without partitions.
const BATCH_ROWS: i64 = 5_000;

/// Number of deleted rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Erased {
    pub executions: u64,
    pub log_lines: u64,
    pub scripts: u64,
    pub functions: u64,
}

/// State of a deletion, for an operator who waits for it.
#[derive(Clone, Copy, Debug)]
pub struct ErasureProgress {
    /// Monday of the week of history that is being deleted.
    pub week: chrono::NaiveDate,
    /// Number of weeks that come after it.
    pub weeks_left: usize,
    pub erased: Erased,
}

impl fmt::Display for ErasureProgress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { week, weeks_left, erased } = self;
        let Erased { executions, log_lines, .. } = erased;
        write!(
            f,
            "week of {week}, {weeks_left} to go: {executions} executions and {log_lines} log lines erased"
        )
    }
}

/// Deletes everything but the workspace's row, and reports its progress. Does not wait for runs in progress: a worker
/// that finds its execution deleted writes nothing.
pub async fn erase(
    pool: &PgPool,
    workspace_id: Uuid,
    mut report: impl FnMut(&ErasureProgress),
) -> sqlx::Result<Erased> {
    revoke_access(pool, workspace_id).await?;
    let mut erased = Erased::default();
    // Executions may have been added behind the deletion until the sources of work were gone.
    while history::erase(pool, workspace_id, &mut erased, &mut report).await? > 0 {}
    erase_keys(pool, workspace_id).await?;
    (erased.scripts, erased.functions) = erase_code(pool, workspace_id).await?;
    builds::erase_unused(pool).await?;
    Ok(erased)
}

/// Deletes keys, schedules, secrets and dead letters: from then on no request and no schedule can add work.
async fn revoke_access(pool: &PgPool, workspace_id: Uuid) -> sqlx::Result<()> {
    let mut transaction = pool.begin().await?;
    let connection = &mut *transaction;
    sqlx::query!("DELETE FROM api_keys WHERE workspace_id = $1", workspace_id)
        .execute(&mut *connection)
        .await?;
    sqlx::query!("SELECT pg_notify($1, '')", shared::delivery::channel::API_KEY_REVOKED)
        .execute(&mut *connection)
        .await?;
    sqlx::query!("DELETE FROM schedules WHERE workspace_id = $1", workspace_id)
        .execute(&mut *connection)
        .await?;
    sqlx::query!("DELETE FROM environment_variables WHERE workspace_id = $1", workspace_id)
        .execute(&mut *connection)
        .await?;
    sqlx::query!("DELETE FROM environment_changes WHERE workspace_id = $1", workspace_id)
        .execute(&mut *connection)
        .await?;
    sqlx::query!("UPDATE workspaces SET plane_token_sealed = NULL WHERE id = $1", workspace_id)
        .execute(&mut *connection)
        .await?;
    sqlx::query!(
        "DELETE FROM dead_letters WHERE workspace_slug = (SELECT slug FROM workspaces WHERE id = $1)",
        workspace_id
    )
    .execute(&mut *connection)
    .await?;
    transaction.commit().await?;
    loop {
        let deleted = sqlx::query!(
            "DELETE FROM outbox WHERE id = ANY (ARRAY(SELECT id FROM outbox WHERE workspace_id = $1 LIMIT $2))",
            workspace_id,
            BATCH_ROWS,
        )
        .execute(pool)
        .await?;
        if deleted.rows_affected() == 0 {
            return Ok(());
        }
    }
}

async fn erase_keys(pool: &PgPool, workspace_id: Uuid) -> sqlx::Result<()> {
    loop {
        let deleted = sqlx::query!(
            "DELETE FROM idempotency_keys WHERE workspace_id = $1
                 AND key = ANY (ARRAY(SELECT key FROM idempotency_keys WHERE workspace_id = $1 LIMIT $2))",
            workspace_id,
            BATCH_ROWS,
        )
        .execute(pool)
        .await?;
        if deleted.rows_affected() == 0 {
            return Ok(());
        }
    }
}

/// Deletes scripts and functions. Returns their numbers.
async fn erase_code(pool: &PgPool, workspace_id: Uuid) -> sqlx::Result<(u64, u64)> {
    let mut transaction = pool.begin().await?;
    let connection = &mut *transaction;
    sqlx::query!(
        "DELETE FROM script_versions WHERE script_id IN (SELECT id FROM scripts WHERE workspace_id = $1)",
        workspace_id
    )
    .execute(&mut *connection)
    .await?;
    let scripts = sqlx::query!("DELETE FROM scripts WHERE workspace_id = $1", workspace_id)
        .execute(&mut *connection)
        .await?;
    let functions = sqlx::query!("DELETE FROM script_functions WHERE workspace_id = $1", workspace_id)
        .execute(&mut *connection)
        .await?;
    transaction.commit().await?;
    Ok((scripts.rows_affected(), functions.rows_affected()))
}
