//! Scripts and their versions.

use crate::{
    model::pagination::{Fitting, PageRequest, PageRows, fitting},
    model::script::{FunctionPin, ScriptDraft, ScriptVersion, VariableDefinition},
};
use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool, types::Json};
use uuid::Uuid;

mod dependents;

pub(crate) use dependents::{dependents_of, pin_functions, workspaces_depending_on};

/// Filters of a list of scripts.
#[derive(Debug, Default)]
pub(crate) struct ScriptFilter {
    pub trigger_type: Option<String>,
    pub is_system: Option<bool>,
    pub category: Option<String>,
    /// An `ILIKE` pattern for name and description.
    pub search: Option<String>,
}

/// A script as it is stored, with its environment encrypted.
#[derive(Clone, Debug)]
pub(crate) struct ScriptRow {
    pub id: Uuid,
    pub name: String,
    pub description: String,
    pub category: String,
    pub platform: String,
    pub code_type: String,
    pub trigger_type: String,
    pub code: String,
    pub build_hash: String,
    pub variables: Json<Vec<VariableDefinition>>,
    pub env_sealed: Option<Vec<u8>>,
    pub allowed_domains: Vec<String>,
    pub max_retries: i32,
    pub retry_backoff_s: i32,
    pub function_names: Vec<String>,
    pub is_system: bool,
    pub version: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// The result of building a script: its code's hash, and the functions it runs with.
#[derive(Clone, Debug)]
pub(crate) struct BuiltScript {
    pub build_hash: String,
    pub functions: Vec<FunctionPin>,
}

impl BuiltScript {
    /// Returns the names of all functions that it needs.
    pub(crate) fn function_names(&self) -> Vec<String> {
        self.functions.iter().map(|pin| pin.name.clone()).collect()
    }
}

/// Lists the workspace's scripts and the system's, newest first. Both are read in the order of an index, without a look
/// at rows of other workspaces.
pub(crate) async fn list(
    pool: &PgPool,
    workspace_id: Uuid,
    filter: &ScriptFilter,
    page: PageRequest,
) -> Result<PageRows<ScriptRow>, sqlx::Error> {
    let sizes = sqlx::query!(
        r#"SELECT id, octet_length(code) + octet_length(description) + octet_length(variables::text)
                  + coalesce(octet_length(env_sealed), 0) AS "bytes!"
           FROM scripts
           WHERE id = ANY (ARRAY(
               (SELECT id FROM scripts
                WHERE workspace_id = $1 AND deleted_at IS NULL AND id < $2
                  AND ($3::text IS NULL OR trigger_type = $3)
                  AND ($4::boolean IS NULL OR is_system = $4)
                  AND ($5::text IS NULL OR name ILIKE $5 OR description ILIKE $5)
                  AND ($7::text IS NULL OR category = $7)
                ORDER BY id DESC LIMIT $6)
               UNION ALL
               (SELECT id FROM scripts
                WHERE workspace_id IS NULL AND deleted_at IS NULL AND id < $2
                  AND ($3::text IS NULL OR trigger_type = $3)
                  AND ($4::boolean IS NULL OR is_system = $4)
                  AND ($5::text IS NULL OR name ILIKE $5 OR description ILIKE $5)
                  AND ($7::text IS NULL OR category = $7)
                ORDER BY id DESC LIMIT $6)
               ORDER BY id DESC LIMIT $6))
           ORDER BY id DESC"#,
        workspace_id,
        page.below(),
        filter.trigger_type,
        filter.is_system,
        filter.search,
        page.rows(),
        filter.category
    )
    .fetch_all(pool)
    .await?;
    let Fitting { keys, more } = fitting(page.per_page, sizes.into_iter().map(|row| (row.id, row.bytes)));
    let rows = sqlx::query_as!(
        ScriptRow,
        r#"SELECT id, name, description, category, platform, code_type, trigger_type, code, build_hash,
                  variables AS "variables: Json<Vec<VariableDefinition>>", env_sealed, allowed_domains, max_retries,
                  retry_backoff_s, function_names, is_system, version, created_at, updated_at
           FROM scripts WHERE id = ANY($1) ORDER BY id DESC"#,
        &keys
    )
    .fetch_all(pool)
    .await?;
    Ok(PageRows { rows, more })
}

/// Returns a script that the workspace can see.
pub(crate) async fn get(
    pool: &PgPool,
    workspace_id: Uuid,
    id: Uuid,
) -> Result<Option<ScriptRow>, sqlx::Error> {
    sqlx::query_as!(
        ScriptRow,
        r#"SELECT id, name, description, category, platform, code_type, trigger_type, code, build_hash,
                  variables AS "variables: Json<Vec<VariableDefinition>>", env_sealed, allowed_domains, max_retries,
                  retry_backoff_s, function_names, is_system, version, created_at, updated_at
           FROM scripts
           WHERE id = $2 AND (workspace_id = $1 OR workspace_id IS NULL) AND deleted_at IS NULL"#,
        workspace_id,
        id
    )
    .fetch_optional(pool)
    .await
}

/// Like [`get`], but locks the row until the end of the transaction.
pub(crate) async fn lock(
    connection: &mut PgConnection,
    workspace_id: Uuid,
    id: Uuid,
) -> Result<Option<ScriptRow>, sqlx::Error> {
    sqlx::query_as!(
        ScriptRow,
        r#"SELECT id, name, description, category, platform, code_type, trigger_type, code, build_hash,
                  variables AS "variables: Json<Vec<VariableDefinition>>", env_sealed, allowed_domains, max_retries,
                  retry_backoff_s, function_names, is_system, version, created_at, updated_at
           FROM scripts
           WHERE id = $2 AND (workspace_id = $1 OR workspace_id IS NULL) AND deleted_at IS NULL FOR UPDATE"#,
        workspace_id,
        id
    )
    .fetch_optional(connection)
    .await
}

/// Inserts a script, whose build is stored, and its first version.
pub(crate) async fn insert(
    connection: &mut PgConnection,
    id: Uuid,
    workspace_id: Option<Uuid>,
    draft: &ScriptDraft,
    env_sealed: Option<&[u8]>,
    built: &BuiltScript,
) -> Result<ScriptRow, sqlx::Error> {
    let row = sqlx::query_as!(
        ScriptRow,
        r#"INSERT INTO scripts (id, workspace_id, name, description, code_type, trigger_type, code, build_hash, variables,
                  env_sealed, allowed_domains, max_retries, retry_backoff_s, function_names, is_system, category)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $2::uuid IS NULL, $15)
           RETURNING id, name, description, category, platform, code_type, trigger_type, code, build_hash,
                  variables AS "variables: Json<Vec<VariableDefinition>>", env_sealed, allowed_domains, max_retries,
                  retry_backoff_s, function_names, is_system, version, created_at, updated_at"#,
        id,
        workspace_id,
        draft.name,
        draft.description,
        draft.code_type.as_str(),
        draft.trigger_type.as_str(),
        draft.code,
        built.build_hash,
        Json(&draft.variables) as _,
        env_sealed,
        &draft.allowed_domains,
        draft.max_retries,
        draft.retry_backoff_s,
        &built.function_names(),
        draft.category
    )
    .fetch_one(&mut *connection)
    .await?;
    insert_version(connection, &row, built).await?;
    Ok(row)
}

/// Replaces a script whose row is locked. Inserts a new version if it was rebuilt.
pub(crate) async fn update(
    connection: &mut PgConnection,
    id: Uuid,
    draft: &ScriptDraft,
    env_sealed: Option<&[u8]>,
    rebuilt: Option<&BuiltScript>,
) -> Result<ScriptRow, sqlx::Error> {
    let names = rebuilt.map(BuiltScript::function_names);
    let row = sqlx::query_as!(
        ScriptRow,
        r#"UPDATE scripts SET name = $2, description = $3, code_type = $4, trigger_type = $5, code = $6, variables = $7,
                  env_sealed = $8, allowed_domains = $9, max_retries = $10, retry_backoff_s = $11,
                  build_hash = coalesce($12, build_hash), function_names = coalesce($13, function_names),
                  category = $14, version = version + ($12 IS NOT NULL)::integer, updated_at = clock_timestamp()
           WHERE id = $1
           RETURNING id, name, description, category, platform, code_type, trigger_type, code, build_hash,
                  variables AS "variables: Json<Vec<VariableDefinition>>", env_sealed, allowed_domains, max_retries,
                  retry_backoff_s, function_names, is_system, version, created_at, updated_at"#,
        id,
        draft.name,
        draft.description,
        draft.code_type.as_str(),
        draft.trigger_type.as_str(),
        draft.code,
        Json(&draft.variables) as _,
        env_sealed,
        &draft.allowed_domains,
        draft.max_retries,
        draft.retry_backoff_s,
        rebuilt.map(|built| built.build_hash.as_str()),
        names.as_deref(),
        draft.category
    )
    .fetch_one(&mut *connection)
    .await?;
    if let Some(built) = rebuilt {
        insert_version(connection, &row, built).await?;
    }
    Ok(row)
}

async fn insert_version(
    connection: &mut PgConnection,
    script: &ScriptRow,
    built: &BuiltScript,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO script_versions (script_id, version, code, code_type, build_hash, functions)
         VALUES ($1, $2, $3, $4, $5, $6)",
        script.id,
        script.version,
        script.code,
        script.code_type,
        built.build_hash,
        Json(&built.functions) as _
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Marks a script as deleted. Its executions and versions stay, its schedules are disabled.
pub(crate) async fn delete(connection: &mut PgConnection, id: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query!("UPDATE scripts SET deleted_at = now() WHERE id = $1", id).execute(&mut *connection).await?;
    sqlx::query!(
        "UPDATE schedules SET enabled = false, next_run_at = NULL, updated_at = now() WHERE script_id = $1",
        id
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Lists the system's scripts, and locks them until the end of the transaction.
pub(crate) async fn lock_system(connection: &mut PgConnection) -> Result<Vec<ScriptRow>, sqlx::Error> {
    sqlx::query_as!(
        ScriptRow,
        r#"SELECT id, name, description, category, platform, code_type, trigger_type, code, build_hash,
                  variables AS "variables: Json<Vec<VariableDefinition>>", env_sealed, allowed_domains, max_retries,
                  retry_backoff_s, function_names, is_system, version, created_at, updated_at
           FROM scripts WHERE workspace_id IS NULL AND deleted_at IS NULL FOR UPDATE"#
    )
    .fetch_all(connection)
    .await
}

/// Lists the versions of a script, newest first.
pub(crate) async fn versions(
    pool: &PgPool,
    script_id: Uuid,
    below: Option<i32>,
    per_page: i64,
) -> Result<PageRows<ScriptVersion>, sqlx::Error> {
    let sizes = sqlx::query!(
        r#"SELECT version, octet_length(code) + octet_length(functions::text) AS "bytes!"
           FROM script_versions WHERE script_id = $1 AND version < $2
           ORDER BY version DESC LIMIT $3"#,
        script_id,
        below.unwrap_or(i32::MAX),
        per_page + 1
    )
    .fetch_all(pool)
    .await?;
    let Fitting { keys, more } = fitting(per_page, sizes.into_iter().map(|row| (row.version, row.bytes)));
    let rows = sqlx::query!(
        r#"SELECT script_id, version, code, code_type, build_hash, functions AS "functions: Json<Vec<FunctionPin>>",
                  created_at
           FROM script_versions WHERE script_id = $1 AND version = ANY($2)
           ORDER BY version DESC"#,
        script_id,
        &keys
    )
    .fetch_all(pool)
    .await?;
    let versions = rows.into_iter().map(|row| ScriptVersion {
        script_id: row.script_id,
        version: row.version,
        code: row.code,
        code_type: row.code_type,
        build_hash: row.build_hash,
        functions: row.functions.0,
        created_at: row.created_at,
    });
    Ok(PageRows { rows: versions.collect(), more })
}
