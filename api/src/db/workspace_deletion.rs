//! Deletes all that a workspace has.
//!
//! Invariant: what brings new work into being goes first, so that nothing grows behind the deletion; every step can be
//! repeated. The workspace's own row stays, without its token: its id is never given to another.

use sqlx::PgPool;
use uuid::Uuid;

/// Executions per transaction: short locks, and a replica that keeps up.
const CHUNK: i64 = 1_000;

/// How much there was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Erased {
    pub executions: u64,
    pub scripts: u64,
    pub functions: u64,
}

/// Deletes everything but the workspace's row. Runs under way are not waited for: they find that their execution is
/// gone, and write nothing.
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

/// Keys, schedules and secrets: from here on nobody can ask for anything.
async fn revoke_access(pool: &PgPool, workspace_id: Uuid) -> sqlx::Result<()> {
    let mut transaction = pool.begin().await?;
    let connection = &mut *transaction;
    sqlx::query!("DELETE FROM api_keys WHERE workspace_id = $1", workspace_id)
        .execute(&mut *connection)
        .await?;
    sqlx::query!("SELECT pg_notify($1, '')", super::channels::API_KEY_REVOKED)
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
    sqlx::query!("DELETE FROM outbox WHERE workspace_id = $1", workspace_id)
        .execute(&mut *connection)
        .await?;
    transaction.commit().await
}

/// One chunk, with logs. Returns how many executions it had.
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
        CHUNK,
    )
    .fetch_one(pool)
    .await?;
    Ok(u64::try_from(gone).unwrap_or_default())
}

/// Scripts, functions, and builds that nobody else has. Returns how many scripts and functions there were.
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
    // Unsaved code leaves builds too: whatever nothing names goes. An hour is far more than a request takes from the
    // build to the row that names it.
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
