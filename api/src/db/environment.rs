//! The environment of a workspace. Values are encrypted before they get here.

use crate::{
    model::pagination::PageRequest,
    model::{
        REDACTED,
        environment::{EnvironmentChange, EnvironmentVariable},
    },
};
use shared::encryption::plaintext_bytes;
use sqlx::{PgConnection, PgPool};
use std::collections::BTreeMap;
use uuid::Uuid;

/// Limits the variables of one workspace: all of them go into every run.
pub(crate) const MAX_VARIABLES: usize = 200;

/// Lists every variable, by key.
pub(crate) async fn list(pool: &PgPool, workspace_id: Uuid) -> Result<Vec<EnvironmentVariable>, sqlx::Error> {
    let rows = sqlx::query!(
        "SELECT key, created_at, updated_at, updated_by FROM environment_variables WHERE workspace_id = $1 ORDER BY key",
        workspace_id
    )
    .fetch_all(pool)
    .await?;
    let variables = rows.into_iter().map(|row| EnvironmentVariable {
        key: row.key,
        value: REDACTED,
        created_at: row.created_at,
        updated_at: row.updated_at,
        updated_by: row.updated_by,
        warning: None,
    });
    Ok(variables.collect())
}

/// Returns one variable.
pub(crate) async fn get(
    pool: &PgPool,
    workspace_id: Uuid,
    key: &str,
) -> Result<Option<EnvironmentVariable>, sqlx::Error> {
    let row = sqlx::query!(
        "SELECT key, created_at, updated_at, updated_by FROM environment_variables WHERE workspace_id = $1 AND key = $2",
        workspace_id,
        key
    )
    .fetch_optional(pool)
    .await?;
    Ok(row.map(|row| EnvironmentVariable {
        key: row.key,
        value: REDACTED,
        created_at: row.created_at,
        updated_at: row.updated_at,
        updated_by: row.updated_by,
        warning: None,
    }))
}

/// Blocks other writers of this environment until the transaction ends, and returns the bytes of each value.
pub(crate) async fn lock_sizes(
    connection: &mut PgConnection,
    workspace_id: Uuid,
) -> Result<BTreeMap<String, usize>, sqlx::Error> {
    sqlx::query_scalar!("SELECT id FROM workspaces WHERE id = $1 FOR NO KEY UPDATE", workspace_id)
        .fetch_one(&mut *connection)
        .await?;
    let rows = sqlx::query!(
        r#"SELECT key, octet_length(value_sealed) AS "sealed!",
                  get_byte(substring(value_sealed FOR 2) || '\x0000'::bytea, 1) AS "key_id!"
           FROM environment_variables WHERE workspace_id = $1"#,
        workspace_id
    )
    .fetch_all(connection)
    .await?;
    let length = |bytes| usize::try_from(bytes).unwrap_or(0);
    Ok(rows
        .into_iter()
        .map(|row| (row.key, plaintext_bytes(length(row.sealed), length(row.key_id))))
        .collect())
}

/// Sets a variable and records the change with its author. Returns true if the variable is new.
pub(crate) async fn set(
    connection: &mut PgConnection,
    workspace_id: Uuid,
    key: &str,
    value_sealed: &[u8],
    actor: Option<&str>,
) -> Result<bool, sqlx::Error> {
    let is_new = sqlx::query_scalar!(
        r#"INSERT INTO environment_variables (workspace_id, key, value_sealed, updated_by) VALUES ($1, $2, $3, $4)
           ON CONFLICT (workspace_id, key) DO UPDATE
           SET value_sealed = excluded.value_sealed, updated_by = excluded.updated_by, updated_at = now()
           RETURNING (xmax = 0) AS "is_new!""#,
        workspace_id,
        key,
        value_sealed,
        actor
    )
    .fetch_one(&mut *connection)
    .await?;
    record_change(connection, workspace_id, key, "set", actor).await?;
    Ok(is_new)
}

/// Deletes a variable and records the change with its author. Returns false if there is no such variable.
pub(crate) async fn delete(
    connection: &mut PgConnection,
    workspace_id: Uuid,
    key: &str,
    actor: Option<&str>,
) -> Result<bool, sqlx::Error> {
    let deleted = sqlx::query!(
        "DELETE FROM environment_variables WHERE workspace_id = $1 AND key = $2",
        workspace_id,
        key
    )
    .execute(&mut *connection)
    .await?;
    if deleted.rows_affected() == 0 {
        return Ok(false);
    }
    record_change(connection, workspace_id, key, "deleted", actor).await?;
    Ok(true)
}

async fn record_change(
    connection: &mut PgConnection,
    workspace_id: Uuid,
    key: &str,
    action: &str,
    actor: Option<&str>,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO environment_changes (id, workspace_id, key, action, changed_by) VALUES ($1, $2, $3, $4, $5)",
        Uuid::now_v7(),
        workspace_id,
        key,
        action,
        actor
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Lists the changes of one key, newest first, with their ids for paging.
pub(crate) async fn changes(
    pool: &PgPool,
    workspace_id: Uuid,
    key: &str,
    page: PageRequest,
) -> Result<Vec<(Uuid, EnvironmentChange)>, sqlx::Error> {
    let rows = sqlx::query!(
        "SELECT id, key, action, changed_by, changed_at FROM environment_changes
         WHERE workspace_id = $1 AND key = $2 AND id < $3 ORDER BY id DESC LIMIT $4",
        workspace_id,
        key,
        page.below(),
        page.rows()
    )
    .fetch_all(pool)
    .await?;
    let rows = rows.into_iter().map(|row| {
        let change = EnvironmentChange {
            key: row.key,
            action: row.action,
            changed_by: row.changed_by,
            changed_at: row.changed_at,
        };
        (row.id, change)
    });
    Ok(rows.collect())
}
