//! Deletes all rows of a workspace.
//!
//! Invariant: the sources of new work are deleted first, so that no row is added behind the deletion. Every step can be
//! repeated. The workspace's own row stays, without its token: its id is never given to another workspace.

use sqlx::PgPool;
use uuid::Uuid;

/// Limits the executions per transaction: locks are short, and a replica keeps up.
const CHUNK_EXECUTIONS: i64 = 1_000;

/// Number of deleted rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Erased {
    pub executions: u64,
    pub scripts: u64,
    pub functions: u64,
}

/// Deletes everything but the workspace's row. Does not wait for runs in progress: a worker that finds its execution
/// deleted writes nothing.
pub async fn erase(pool: &PgPool, workspace_id: Uuid) -> sqlx::Result<Erased> {
    revoke_access(pool, workspace_id).await?;
    let mut erased = Erased::default();
    loop {
        let executions = erase_executions(pool, workspace_id).await?;
        erased.executions += executions;
        if executions == 0 {
            break;
        }
    }
    (erased.scripts, erased.functions) = erase_code(pool, workspace_id).await?;
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
    sqlx::query!("DELETE FROM outbox WHERE workspace_id = $1", workspace_id)
        .execute(&mut *connection)
        .await?;
    transaction.commit().await
}

/// Deletes one chunk of executions with their logs. Returns the number of executions.
async fn erase_executions(pool: &PgPool, workspace_id: Uuid) -> sqlx::Result<u64> {
    let gone = sqlx::query_scalar!(
        r#"
        WITH gone AS (
            DELETE FROM script_executions
            WHERE workspace_id = $1
                AND id IN (SELECT id FROM script_executions WHERE workspace_id = $1
                           -- In the order of an index.
                           ORDER BY execution_kind(trigger_type, error_code), id LIMIT $2)
            RETURNING id
        ), logs AS (
            DELETE FROM execution_logs WHERE execution_id IN (SELECT id FROM gone)
        ), waiting AS (
            DELETE FROM outbox WHERE execution_id IN (SELECT id FROM gone)
        )
        SELECT count(*) AS "count!" FROM gone
        "#,
        workspace_id,
        CHUNK_EXECUTIONS,
    )
    .fetch_one(pool)
    .await?;
    Ok(u64::try_from(gone).unwrap_or_default())
}

/// Deletes scripts, functions, and builds that no other workspace uses. Returns the numbers of scripts and of
/// functions.
async fn erase_code(pool: &PgPool, workspace_id: Uuid) -> sqlx::Result<(u64, u64)> {
    let mut transaction = pool.begin().await?;
    let connection = &mut *transaction;
    sqlx::query!("DELETE FROM idempotency_keys WHERE workspace_id = $1", workspace_id)
        .execute(&mut *connection)
        .await?;
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
    // Unsaved code leaves builds too: every build that no row names is deleted. An hour is far more than a request
    // takes from the build to the row that names it.
    sqlx::query!(
        "DELETE FROM builds b WHERE created_at < now() - interval '1 hour'
             AND NOT EXISTS (SELECT FROM scripts WHERE build_hash = b.hash)
             AND NOT EXISTS (SELECT FROM script_functions WHERE build_hash = b.hash)
             AND NOT EXISTS (SELECT FROM script_versions WHERE build_hash = b.hash)
             AND NOT EXISTS (SELECT FROM script_executions WHERE build_hash = b.hash)
             AND NOT EXISTS (SELECT FROM script_versions, jsonb_array_elements(functions) AS pin
                 WHERE pin ->> 'build_hash' = b.hash)
             AND NOT EXISTS (SELECT FROM script_executions, jsonb_array_elements(functions) AS pin
                 WHERE pin ->> 'build_hash' = b.hash)"
    )
    .execute(&mut *connection)
    .await?;
    transaction.commit().await?;
    Ok((scripts.rows_affected(), functions.rows_affected()))
}
