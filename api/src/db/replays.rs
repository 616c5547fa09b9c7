//! The parts of an execution that a replay needs.

use super::{enqueue::Runnable, executions::StoredInput, script_versions};
use crate::model::{
    execution::ReplayVersion,
    script::{FunctionPin, VariableDefinition},
};
use serde_json::value::RawValue;
use shared::execution::TriggerType;
use sqlx::{PgPool, types::Json};
use uuid::Uuid;

/// An execution to be repeated.
#[derive(Debug)]
pub(crate) struct Replayed {
    /// `None` if the requested version does not exist.
    pub runnable: Option<Runnable>,
    /// The variables that its script defines; none for unsaved code.
    pub definitions: Vec<VariableDefinition>,
    pub given: StoredInput,
    pub trigger_type: TriggerType,
    pub env_sealed: Option<Vec<u8>>,
}

/// Reads an execution and the version of its script that is to run.
pub(crate) async fn replayed(
    pool: &PgPool,
    workspace_id: Uuid,
    id: Uuid,
    version: ReplayVersion,
) -> Result<Option<Replayed>, sqlx::Error> {
    let row = sqlx::query!(
        r#"SELECT script_id, script_version, trigger_type, build_hash, code_type, allowed_domains, env_sealed,
                  functions AS "functions: Json<Vec<FunctionPin>>",
                  event AS "event: Json<Box<RawValue>>", context AS "context: Json<Box<RawValue>>",
                  variables AS "variables: Json<Box<RawValue>>"
           FROM script_executions WHERE workspace_id = $1 AND id = $2"#,
        workspace_id,
        id
    )
    .fetch_optional(pool)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let trigger_type = row.trigger_type.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
    let found = match row.script_id {
        Some(script_id) => of_version(pool, workspace_id, script_id, version, row.script_version).await?,
        None => None,
    };
    let same = matches!(version, ReplayVersion::Same);
    let (runnable, definitions) = match found {
        Some((runnable, definitions)) => (Some(runnable), definitions),
        // Unsaved code, or a deleted script: the execution's row still has the build that ran.
        None if same => (
            Some(Runnable {
                script: row.script_id.zip(row.script_version),
                build_hash: row.build_hash,
                code_type: row.code_type,
                functions: row.functions.0,
                allowed_domains: row.allowed_domains,
                max_retries: 0,
            }),
            Vec::new(),
        ),
        None => (None, Vec::new()),
    };
    let given = StoredInput { event: row.event, context: row.context, variables: row.variables };
    Ok(Some(Replayed { runnable, definitions, given, trigger_type, env_sealed: row.env_sealed }))
}

async fn of_version(
    pool: &PgPool,
    workspace_id: Uuid,
    script_id: Uuid,
    version: ReplayVersion,
    same: Option<i32>,
) -> Result<Option<(Runnable, Vec<VariableDefinition>)>, sqlx::Error> {
    let wanted = match version {
        ReplayVersion::Same => same,
        ReplayVersion::Newest => None,
        ReplayVersion::Number(number) => Some(number),
    };
    let found = script_versions::version(pool, workspace_id, script_id, wanted).await?;
    Ok(found.map(|found| (found.runnable, found.definitions)))
}
