//! API keys. Only hashes are stored.

use crate::model::{
    api_key::{ApiKey, KeyHash, NewKey, Scope},
    pagination::PageRequest,
};
use sqlx::PgPool;
use uuid::Uuid;

/// The workspace and the scopes of a valid key.
#[derive(Debug)]
pub(crate) struct KeyOwner {
    pub workspace_id: Uuid,
    pub workspace_slug: String,
    pub prefix: String,
    pub scopes: Vec<String>,
}

/// Finds the owner of a key that was not revoked, and records the time of its use to the minute.
pub(crate) async fn find(pool: &PgPool, hash: &KeyHash) -> Result<Option<KeyOwner>, sqlx::Error> {
    let found = sqlx::query!(
        r#"SELECT key.id, key.workspace_id, workspace.slug, key.prefix, key.scopes,
                  (key.last_used_at IS NULL OR key.last_used_at < now() - interval '1 minute') AS "note_use!"
           FROM api_keys AS key JOIN workspaces AS workspace ON workspace.id = key.workspace_id
           WHERE key.key_hash = $1 AND key.revoked_at IS NULL"#,
        &hash[..]
    )
    .fetch_optional(pool)
    .await?;
    let Some(row) = found else { return Ok(None) };
    if row.note_use {
        sqlx::query!("UPDATE api_keys SET last_used_at = now() WHERE id = $1", row.id).execute(pool).await?;
    }
    Ok(Some(KeyOwner {
        workspace_id: row.workspace_id,
        workspace_slug: row.slug,
        prefix: row.prefix,
        scopes: row.scopes,
    }))
}

/// Stores a new key.
pub async fn insert(
    pool: &PgPool,
    workspace_id: Uuid,
    name: &str,
    key: &NewKey,
    scopes: &[Scope],
) -> Result<ApiKey, sqlx::Error> {
    let scopes: Vec<String> = scopes.iter().map(|scope| scope.as_str().to_owned()).collect();
    sqlx::query_as!(
        ApiKey,
        "INSERT INTO api_keys (id, workspace_id, name, prefix, key_hash, scopes) VALUES ($1, $2, $3, $4, $5, $6)
         RETURNING id, name, prefix, scopes, created_at, last_used_at",
        Uuid::now_v7(),
        workspace_id,
        name,
        key.prefix,
        &key.hash[..],
        &scopes
    )
    .fetch_one(pool)
    .await
}

/// Lists the keys that were not revoked, newest first.
pub(crate) async fn list(
    pool: &PgPool,
    workspace_id: Uuid,
    page: PageRequest,
) -> Result<Vec<ApiKey>, sqlx::Error> {
    sqlx::query_as!(
        ApiKey,
        "SELECT id, name, prefix, scopes, created_at, last_used_at FROM api_keys
         WHERE workspace_id = $1 AND revoked_at IS NULL AND id < $2
         ORDER BY id DESC LIMIT $3",
        workspace_id,
        page.below(),
        page.rows()
    )
    .fetch_all(pool)
    .await
}

/// Returns a key that was not revoked.
pub(crate) async fn get(pool: &PgPool, workspace_id: Uuid, id: Uuid) -> Result<Option<ApiKey>, sqlx::Error> {
    sqlx::query_as!(
        ApiKey,
        "SELECT id, name, prefix, scopes, created_at, last_used_at FROM api_keys
         WHERE workspace_id = $1 AND id = $2 AND revoked_at IS NULL",
        workspace_id,
        id
    )
    .fetch_optional(pool)
    .await
}

/// Revokes a key and notifies every process. Returns false if there is no such key.
pub(crate) async fn revoke(pool: &PgPool, workspace_id: Uuid, id: Uuid) -> Result<bool, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    let revoked = sqlx::query!(
        "UPDATE api_keys SET revoked_at = now() WHERE workspace_id = $1 AND id = $2 AND revoked_at IS NULL",
        workspace_id,
        id
    )
    .execute(&mut *transaction)
    .await?;
    sqlx::query!("SELECT pg_notify($1, '')", shared::delivery::channel::API_KEY_REVOKED)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(revoked.rows_affected() == 1)
}
