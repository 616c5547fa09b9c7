//! Versions of scripts that executions run with.

use super::enqueue::Runnable;
use crate::model::script::{FunctionPin, VariableDefinition};
use sqlx::types::Json;
use uuid::Uuid;

/// Version of a script's row: PostgreSQL's `xmin`, the transaction that wrote it. Every change results in another
/// version, also one by a program that does not know this type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RowVersion(pub(crate) i64);

/// A version of a script with the version of its row.
#[derive(Clone, Debug)]
#[expect(clippy::struct_field_names, reason = "the version of the row is not that of the script")]
pub(crate) struct Version {
    pub runnable: Runnable,
    /// Variables that the script defines.
    pub definitions: Vec<VariableDefinition>,
    pub row_version: RowVersion,
}

/// Returns the newest version of a script that the workspace can see.
pub(crate) async fn newest<'e>(
    executor: impl sqlx::PgExecutor<'e>,
    workspace_id: Uuid,
    script_id: Uuid,
) -> Result<Option<Version>, sqlx::Error> {
    version(executor, workspace_id, script_id, None).await
}

/// Returns a version of a script that the workspace can see, or the newest if there is no `number`.
pub(crate) async fn version<'e>(
    executor: impl sqlx::PgExecutor<'e>,
    workspace_id: Uuid,
    script_id: Uuid,
    number: Option<i32>,
) -> Result<Option<Version>, sqlx::Error> {
    let row = sqlx::query!(
        r#"SELECT script.id, version.version, version.build_hash, version.code_type,
                  version.functions AS "functions: Json<Vec<FunctionPin>>", script.allowed_domains, script.max_retries,
                  script.variables AS "variables: Json<Vec<VariableDefinition>>", script.xmin::text::bigint AS "row_version!"
           FROM scripts AS script
           JOIN script_versions AS version
             ON version.script_id = script.id AND version.version = coalesce($3, script.version)
           WHERE script.id = $2 AND (script.workspace_id = $1 OR script.workspace_id IS NULL)
             AND script.deleted_at IS NULL"#,
        workspace_id,
        script_id,
        number
    )
    .fetch_optional(executor)
    .await?;
    Ok(row.map(|row| Version {
        runnable: Runnable {
            script: Some((row.id, row.version)),
            build_hash: row.build_hash,
            code_type: row.code_type,
            functions: row.functions.0,
            allowed_domains: row.allowed_domains,
            max_retries: row.max_retries,
        },
        definitions: row.variables.0,
        row_version: RowVersion(row.row_version),
    }))
}
