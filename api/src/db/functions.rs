//! Functions of a workspace and of the system.

use crate::{
    model::function::{Function, FunctionDraft, FunctionParameter, KnownFunction},
    model::pagination::{Fitting, PageRequest, PageRows, fitting},
};
use sqlx::{PgConnection, PgPool, types::Json};
use uuid::Uuid;

/// Filters of a list of functions.
#[derive(Debug, Default)]
pub(crate) struct FunctionFilter {
    pub category: Option<String>,
    pub is_system: Option<bool>,
    /// An `ILIKE` pattern for name and description.
    pub search: Option<String>,
}

struct FunctionRow {
    id: Uuid,
    name: String,
    description: String,
    category: String,
    parameters: Json<Vec<FunctionParameter>>,
    return_type: String,
    usage_example: String,
    code: String,
    build_hash: String,
    function_names: Vec<String>,
    is_system: bool,
    version: i32,
    created_at: chrono::DateTime<chrono::Utc>,
    updated_at: chrono::DateTime<chrono::Utc>,
}

impl From<FunctionRow> for Function {
    fn from(row: FunctionRow) -> Self {
        Self {
            id: row.id,
            name: row.name,
            description: row.description,
            category: row.category,
            parameters: row.parameters.0,
            return_type: row.return_type,
            usage_example: row.usage_example,
            code: row.code,
            build_hash: row.build_hash,
            function_names: row.function_names,
            is_system: row.is_system,
            version: row.version,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

/// Lists the workspace's functions and the system's, newest first. Both are read in the order of an index, without a
/// look at rows of other workspaces.
pub(crate) async fn list(
    pool: &PgPool,
    workspace_id: Uuid,
    filter: &FunctionFilter,
    page: PageRequest,
) -> Result<PageRows<Function>, sqlx::Error> {
    let sizes = sqlx::query!(
        r#"SELECT id, octet_length(code) + octet_length(description) + octet_length(parameters::text)
                  + octet_length(usage_example) AS "bytes!"
           FROM script_functions
           WHERE id = ANY (ARRAY(
               (SELECT id FROM script_functions
                WHERE workspace_id = $1 AND deleted_at IS NULL AND id < $2
                  AND ($3::text IS NULL OR category = $3)
                  AND ($4::boolean IS NULL OR is_system = $4)
                  AND ($5::text IS NULL OR name ILIKE $5 OR description ILIKE $5)
                ORDER BY id DESC LIMIT $6)
               UNION ALL
               (SELECT id FROM script_functions
                WHERE workspace_id IS NULL AND deleted_at IS NULL AND id < $2
                  AND ($3::text IS NULL OR category = $3)
                  AND ($4::boolean IS NULL OR is_system = $4)
                  AND ($5::text IS NULL OR name ILIKE $5 OR description ILIKE $5)
                ORDER BY id DESC LIMIT $6)
               ORDER BY id DESC LIMIT $6))
           ORDER BY id DESC"#,
        workspace_id,
        page.below(),
        filter.category,
        filter.is_system,
        filter.search,
        page.rows()
    )
    .fetch_all(pool)
    .await?;
    let Fitting { keys, more } = fitting(page.per_page, sizes.into_iter().map(|row| (row.id, row.bytes)));
    let rows = sqlx::query_as!(
        FunctionRow,
        r#"SELECT id, name, description, category, parameters AS "parameters: Json<Vec<FunctionParameter>>",
                  return_type, usage_example, code, build_hash, function_names, is_system, version, created_at, updated_at
           FROM script_functions WHERE id = ANY($1) ORDER BY id DESC"#,
        &keys
    )
    .fetch_all(pool)
    .await?;
    Ok(PageRows { rows: rows.into_iter().map(Function::from).collect(), more })
}

/// Returns a function that the workspace can see.
pub(crate) async fn get(
    pool: &PgPool,
    workspace_id: Uuid,
    id: Uuid,
) -> Result<Option<Function>, sqlx::Error> {
    let row = sqlx::query_as!(
        FunctionRow,
        r#"SELECT id, name, description, category, parameters AS "parameters: Json<Vec<FunctionParameter>>",
                  return_type, usage_example, code, build_hash, function_names, is_system, version, created_at, updated_at
           FROM script_functions
           WHERE id = $2 AND (workspace_id = $1 OR workspace_id IS NULL) AND deleted_at IS NULL"#,
        workspace_id,
        id
    )
    .fetch_optional(pool)
    .await?;
    Ok(row.map(Function::from))
}

/// Like [`get`], but locks the row until the end of the transaction.
pub(crate) async fn lock(
    connection: &mut PgConnection,
    workspace_id: Uuid,
    id: Uuid,
) -> Result<Option<Function>, sqlx::Error> {
    let row = sqlx::query_as!(
        FunctionRow,
        r#"SELECT id, name, description, category, parameters AS "parameters: Json<Vec<FunctionParameter>>",
                  return_type, usage_example, code, build_hash, function_names, is_system, version, created_at, updated_at
           FROM script_functions
           WHERE id = $2 AND (workspace_id = $1 OR workspace_id IS NULL) AND deleted_at IS NULL FOR UPDATE"#,
        workspace_id,
        id
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.map(Function::from))
}

/// Lists the system's functions, and locks them until the end of the transaction.
pub(crate) async fn lock_system(connection: &mut PgConnection) -> Result<Vec<Function>, sqlx::Error> {
    let rows = sqlx::query_as!(
        FunctionRow,
        r#"SELECT id, name, description, category, parameters AS "parameters: Json<Vec<FunctionParameter>>",
                  return_type, usage_example, code, build_hash, function_names, is_system, version, created_at, updated_at
           FROM script_functions WHERE workspace_id IS NULL AND deleted_at IS NULL FOR UPDATE"#
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(Function::from).collect())
}

/// Lists the functions that code of the workspace may call; for system code (`None`) the system's functions alone.
pub(crate) async fn known(
    connection: &mut PgConnection,
    workspace_id: Option<Uuid>,
) -> Result<Vec<KnownFunction>, sqlx::Error> {
    // A workspace's function comes last and so wins over a system function of the same name that was added later.
    sqlx::query_as!(
        KnownFunction,
        "SELECT name, build_hash, function_names FROM script_functions
         WHERE (workspace_id = $1 OR workspace_id IS NULL) AND deleted_at IS NULL ORDER BY is_system DESC",
        workspace_id
    )
    .fetch_all(connection)
    .await
}

/// Serialises changes of a workspace's functions with the saves that resolve their names.
///
/// Saves of scripts share the lock. A change of a function takes it exclusively (`alone`), so that no script is pinned
/// to a build that is just being replaced.
pub(crate) async fn lock_names(
    connection: &mut PgConnection,
    workspace_id: Option<Uuid>,
    alone: bool,
) -> Result<(), sqlx::Error> {
    let name = format!("functions:{}", workspace_id.unwrap_or_default());
    if alone {
        sqlx::query!("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", name)
            .execute(connection)
            .await?;
    } else {
        sqlx::query!("SELECT pg_advisory_xact_lock_shared(hashtextextended($1, 0))", name)
            .execute(connection)
            .await?;
    }
    Ok(())
}

/// Tells whether the system has a function of this name.
pub(crate) async fn is_system_name(connection: &mut PgConnection, name: &str) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM script_functions
           WHERE workspace_id IS NULL AND name = $1 AND deleted_at IS NULL) AS "exists!""#,
        name
    )
    .fetch_one(connection)
    .await
}

/// Counts the workspace's own functions.
pub(crate) async fn count(connection: &mut PgConnection, workspace_id: Uuid) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM script_functions WHERE workspace_id = $1 AND deleted_at IS NULL"#,
        workspace_id
    )
    .fetch_one(connection)
    .await
}

/// Inserts a function whose build is stored.
pub(crate) async fn insert(
    connection: &mut PgConnection,
    id: Uuid,
    workspace_id: Option<Uuid>,
    draft: &FunctionDraft,
    build_hash: &str,
    function_names: &[String],
) -> Result<Function, sqlx::Error> {
    let row = sqlx::query_as!(
        FunctionRow,
        r#"INSERT INTO script_functions (id, workspace_id, name, description, category, parameters, return_type,
                  usage_example, code, build_hash, function_names, is_system)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $2::uuid IS NULL)
           RETURNING id, name, description, category, parameters AS "parameters: Json<Vec<FunctionParameter>>",
                  return_type, usage_example, code, build_hash, function_names, is_system, version, created_at, updated_at"#,
        id,
        workspace_id,
        draft.name,
        draft.description,
        draft.category,
        Json(&draft.parameters) as _,
        draft.return_type,
        draft.usage_example,
        draft.code,
        build_hash,
        function_names
    )
    .fetch_one(connection)
    .await?;
    Ok(row.into())
}

/// Replaces a function whose row is locked.
pub(crate) async fn update(
    connection: &mut PgConnection,
    id: Uuid,
    draft: &FunctionDraft,
    build_hash: &str,
    function_names: &[String],
) -> Result<Function, sqlx::Error> {
    let row = sqlx::query_as!(
        FunctionRow,
        r#"UPDATE script_functions SET name = $2, description = $3, category = $4, parameters = $5, return_type = $6,
                  usage_example = $7, code = $8, build_hash = $9, function_names = $10, updated_at = clock_timestamp(),
                  version = version + (build_hash <> $9)::integer
           WHERE id = $1
           RETURNING id, name, description, category, parameters AS "parameters: Json<Vec<FunctionParameter>>",
                  return_type, usage_example, code, build_hash, function_names, is_system, version, created_at, updated_at"#,
        id,
        draft.name,
        draft.description,
        draft.category,
        Json(&draft.parameters) as _,
        draft.return_type,
        draft.usage_example,
        draft.code,
        build_hash,
        function_names
    )
    .fetch_one(connection)
    .await?;
    Ok(row.into())
}

/// Marks a function as deleted; builds that name it go on working.
pub(crate) async fn delete(connection: &mut PgConnection, id: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query!("UPDATE script_functions SET deleted_at = now() WHERE id = $1", id)
        .execute(connection)
        .await?;
    Ok(())
}

/// A function that calls another one by name.
#[derive(Debug)]
pub(crate) struct DependentFunction {
    pub id: Uuid,
    pub name: String,
}

/// Lists the functions of the workspace that call `name`, other than the function itself.
pub(crate) async fn callers(
    connection: &mut PgConnection,
    workspace_id: Uuid,
    name: &str,
) -> Result<Vec<DependentFunction>, sqlx::Error> {
    sqlx::query_as!(
        DependentFunction,
        "SELECT id, name FROM script_functions
         WHERE workspace_id = $1 AND deleted_at IS NULL AND name <> $2 AND $2 = ANY(function_names) ORDER BY name",
        workspace_id,
        name
    )
    .fetch_all(connection)
    .await
}

/// Returns a text that changes with every change of the functions that code of the workspace may call.
pub(crate) async fn visible_state(pool: &PgPool, workspace_id: Uuid) -> Result<String, sqlx::Error> {
    let state = sqlx::query_scalar!(
        r#"SELECT md5(string_agg(id::text || ' ' || xmin::text, ',' ORDER BY id)) AS state
           FROM script_functions
           WHERE id = ANY (ARRAY(SELECT id FROM script_functions WHERE workspace_id = $1 AND deleted_at IS NULL
                                 UNION ALL
                                 SELECT id FROM script_functions WHERE workspace_id IS NULL AND deleted_at IS NULL))"#,
        workspace_id
    );
    Ok(state.fetch_one(pool).await?.unwrap_or_default())
}

/// Lists the ids of all functions that code of the workspace may call, in the order of their names.
pub(crate) async fn visible_ids(pool: &PgPool, workspace_id: Uuid) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT DISTINCT ON (name) id FROM script_functions
           WHERE id = ANY (ARRAY(SELECT id FROM script_functions WHERE workspace_id = $1 AND deleted_at IS NULL
                                 UNION ALL
                                 SELECT id FROM script_functions WHERE workspace_id IS NULL AND deleted_at IS NULL))
           ORDER BY name, is_system"#,
        workspace_id
    )
    .fetch_all(pool)
    .await
}
