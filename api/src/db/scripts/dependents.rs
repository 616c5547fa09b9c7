//! Scripts that need a function, and the versions that a change of the function makes of them.

use crate::model::script::FunctionPin;
use sqlx::{PgConnection, types::Json};
use uuid::Uuid;

/// A script that needs a changed function, with the functions of its newest version.
#[derive(Debug)]
pub(crate) struct DependentScript {
    pub id: Uuid,
    pub name: String,
    /// Names of the functions that its own code calls.
    pub called: Vec<String>,
    pub functions: Json<Vec<FunctionPin>>,
}

/// Lists the scripts of the workspace (for `None`, of the system) that need any of the functions `names`, and locks
/// them.
pub(crate) async fn dependents_of(
    connection: &mut PgConnection,
    workspace_id: Option<Uuid>,
    names: &[String],
) -> Result<Vec<DependentScript>, sqlx::Error> {
    sqlx::query_as!(
        DependentScript,
        r#"SELECT script.id, script.name, build.function_names AS called,
                  version.functions AS "functions: Json<Vec<FunctionPin>>"
           FROM scripts AS script
           JOIN script_versions AS version ON version.script_id = script.id AND version.version = script.version
           JOIN builds AS build ON build.hash = script.build_hash
           WHERE script.workspace_id IS NOT DISTINCT FROM $1 AND script.deleted_at IS NULL
             AND script.function_names && $2
           ORDER BY script.name FOR UPDATE OF script"#,
        workspace_id,
        names
    )
    .fetch_all(connection)
    .await
}

/// Lists the workspaces with scripts that need any of the functions `names`.
pub(crate) async fn workspaces_depending_on(
    connection: &mut PgConnection,
    names: &[String],
) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT DISTINCT workspace_id AS "workspace_id!" FROM scripts
           WHERE workspace_id IS NOT NULL AND deleted_at IS NULL AND function_names && $1"#,
        names
    )
    .fetch_all(connection)
    .await
}

/// Inserts a version of a script whose code did not change, with other builds of its functions.
pub(crate) async fn pin_functions(
    connection: &mut PgConnection,
    id: Uuid,
    functions: &[FunctionPin],
) -> Result<(), sqlx::Error> {
    let names: Vec<String> = functions.iter().map(|pin| pin.name.clone()).collect();
    sqlx::query!(
        "WITH script AS (
             UPDATE scripts SET version = version + 1, function_names = $2, updated_at = clock_timestamp()
             WHERE id = $1 RETURNING id, version, code, code_type, build_hash)
         INSERT INTO script_versions (script_id, version, code, code_type, build_hash, functions)
         SELECT id, version, code, code_type, build_hash, $3 FROM script",
        id,
        &names,
        Json(functions) as _
    )
    .execute(connection)
    .await?;
    Ok(())
}
