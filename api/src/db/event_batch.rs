//! Executions of a batch of events.
//!
//! Invariant: all rows of a batch are one statement, and an execution is written together with its idempotency key and
//! its outbox row.

use super::enqueue::Runnable;
use shared::execution::TriggerType;
use sqlx::PgPool;
use std::collections::HashSet;
use uuid::Uuid;

/// The execution of an event.
#[derive(Debug)]
pub(crate) struct EventRow<'a> {
    pub id: Uuid,
    pub workspace_id: Uuid,
    pub script_id: Uuid,
    pub trigger_type: TriggerType,
    pub runnable: &'a Runnable,
    pub idempotency_key: &'a str,
    pub request_hash: &'a [u8],
    /// JSON, as are `context` and `variables`.
    pub event: &'a str,
    pub context: &'a str,
    /// With defaults filled in: see [`crate::model::variables::complete`].
    pub variables: &'a str,
    pub traceparent: Option<String>,
}

/// Stores the rows whose keys are new, each with its execution and outbox row. Returns those executions' ids.
pub(crate) async fn insert(pool: &PgPool, rows: &[EventRow<'_>]) -> sqlx::Result<HashSet<Uuid>> {
    if rows.is_empty() {
        return Ok(HashSet::new());
    }
    let columns = Columns::of(rows);
    let stored = sqlx::query_scalar!(
        r#"
        WITH given AS (
            SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::int[], $5::int[], $6::bytea[], $7::text[],
                $8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[], $16::text[])
            AS given (id, workspace_id, script_id, script_version, retries_left, hash, key, trigger_type, build_hash,
                functions, code_type, allowed_domains, event, context, variables, traceparent)
        ), fresh AS (
            INSERT INTO idempotency_keys (workspace_id, key, request_hash, execution_id)
            SELECT workspace_id, key, hash, id FROM given
            ON CONFLICT DO NOTHING
            RETURNING execution_id
        ), executions AS (
            INSERT INTO script_executions (id, workspace_id, script_id, script_version, trigger_type, retries_left,
                build_hash, functions, code_type, function_names, allowed_domains, event, context, variables,
                traceparent)
            SELECT id, workspace_id, script_id, script_version, trigger_type, retries_left, build_hash,
                functions::jsonb, code_type,
                ARRAY(SELECT pin ->> 'name' FROM jsonb_array_elements(functions::jsonb) AS pin),
                ARRAY(SELECT jsonb_array_elements_text(allowed_domains::jsonb)),
                event::json, context::json, variables::json, traceparent
            FROM given JOIN fresh ON fresh.execution_id = given.id
            RETURNING id, workspace_id, traceparent
        )
        INSERT INTO outbox (execution_id, workspace_id, traceparent)
        SELECT id, workspace_id, traceparent FROM executions
        RETURNING execution_id
        "#,
        &columns.ids,
        &columns.workspace_ids,
        &columns.script_ids,
        &columns.versions as &[Option<i32>],
        &columns.retries,
        &columns.hashes,
        &columns.keys,
        &columns.trigger_types,
        &columns.build_hashes,
        &columns.functions,
        &columns.code_types,
        &columns.allowed_domains,
        &columns.events,
        &columns.contexts,
        &columns.variables,
        &columns.traceparents as &[Option<String>],
    )
    .fetch_all(pool)
    .await?;
    Ok(stored.into_iter().collect())
}

/// The rows as one array per column. `json` and arrays of arrays are sent as text.
struct Columns {
    ids: Vec<Uuid>,
    workspace_ids: Vec<Uuid>,
    script_ids: Vec<Uuid>,
    versions: Vec<Option<i32>>,
    retries: Vec<i32>,
    hashes: Vec<Vec<u8>>,
    keys: Vec<String>,
    trigger_types: Vec<String>,
    build_hashes: Vec<String>,
    functions: Vec<String>,
    code_types: Vec<String>,
    allowed_domains: Vec<String>,
    events: Vec<String>,
    contexts: Vec<String>,
    variables: Vec<String>,
    traceparents: Vec<Option<String>>,
}

impl Columns {
    fn of(rows: &[EventRow<'_>]) -> Self {
        Self {
            ids: column(rows, |row| row.id),
            workspace_ids: column(rows, |row| row.workspace_id),
            script_ids: column(rows, |row| row.script_id),
            versions: column(rows, |row| row.runnable.script.map(|(_, version)| version)),
            retries: column(rows, |row| row.runnable.max_retries),
            hashes: column(rows, |row| row.request_hash.to_vec()),
            keys: column(rows, |row| row.idempotency_key.to_owned()),
            trigger_types: column(rows, |row| row.trigger_type.as_str().to_owned()),
            build_hashes: column(rows, |row| row.runnable.build_hash.clone()),
            functions: column(rows, |row| json(&row.runnable.functions)),
            code_types: column(rows, |row| row.runnable.code_type.clone()),
            allowed_domains: column(rows, |row| json(&row.runnable.allowed_domains)),
            events: column(rows, |row| row.event.to_owned()),
            contexts: column(rows, |row| row.context.to_owned()),
            variables: column(rows, |row| row.variables.to_owned()),
            traceparents: column(rows, |row| row.traceparent.clone()),
        }
    }
}

fn column<T>(rows: &[EventRow<'_>], value: impl Fn(&EventRow<'_>) -> T) -> Vec<T> {
    rows.iter().map(value).collect()
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("names, hashes and domains are always JSON")
}
