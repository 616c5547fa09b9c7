//! Creates an execution: its row, and the outbox row that the relay or the writer publishes.
//!
//! Invariant: both rows are written by one statement, so an execution always has an outbox row. A message whose
//! execution does not exist is ignored by the worker.

use super::script_versions::RowVersion;
use crate::{
    db::outbox::OutboxEntry,
    model::{
        execution::{Input, JsonObject},
        script::FunctionPin,
    },
};
use chrono::{DateTime, Utc};
use shared::execution::TriggerType;
use sqlx::{PgConnection, types::Json};
use uuid::Uuid;

/// The parts of a script's version that an execution needs.
#[derive(Clone, Debug)]
pub struct Runnable {
    /// Id and version; `None` for unsaved code.
    pub script: Option<(Uuid, i32)>,
    pub build_hash: String,
    pub code_type: String,
    pub functions: Vec<FunctionPin>,
    pub allowed_domains: Vec<String>,
    pub max_retries: i32,
}

/// A new execution that is not stored yet.
#[derive(Clone, Debug)]
pub struct Submission {
    pub id: Uuid,
    pub workspace_id: Uuid,
    pub trigger_type: TriggerType,
    pub runnable: Runnable,
    pub input: Input,
    /// Variables with defaults filled in: see [`crate::model::variables::complete`].
    pub variables: JsonObject,
    /// Encrypted environment that only this execution has.
    pub env_sealed: Option<Vec<u8>>,
    /// Priority of its outbox row: see [`shared::delivery::priority`].
    pub priority: i16,
    pub traceparent: Option<String>,
    pub replay_of: Option<Uuid>,
}

/// Limits the published but unclaimed messages at which the fast path is still used. Equals the relay's minimum
/// window, so the fast path never takes capacity that the relay would have given to another workspace.
const FAST_PATH_MAX_IN_BROKER: i64 = 8;

/// Publisher of an execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The relay publishes it, in its turn.
    Relay,
    /// Its writer publishes it right after the commit, or the relay if there is a backlog.
    FastPath,
}

/// An execution that was inserted.
#[derive(Debug)]
#[must_use = "it is accepted only by FastPath::publish_and_wait_durable"]
pub struct Inserted {
    pub queued_at: DateTime<Utc>,
    /// Marked row that its writer publishes. Its commit does not wait for the disk. `None` leaves the row to the relay.
    pub marked: Option<OutboxEntry>,
}

/// Inserts the execution and its outbox row in one statement.
pub async fn insert(
    connection: &mut PgConnection,
    submission: &Submission,
    mode: Mode,
) -> Result<Inserted, sqlx::Error> {
    insert_at(connection, submission, mode, None).await?.ok_or(sqlx::Error::RowNotFound)
}

/// Like [`insert`], but writes nothing and returns `None` if the script's row has changed since `version` was read
/// (optimistic check on `xmin`).
pub(crate) async fn insert_if_unchanged(
    connection: &mut PgConnection,
    submission: &Submission,
    mode: Mode,
    version: RowVersion,
) -> Result<Option<Inserted>, sqlx::Error> {
    insert_at(connection, submission, mode, Some(version)).await
}

async fn insert_at(
    connection: &mut PgConnection,
    submission: &Submission,
    mode: Mode,
    version: Option<RowVersion>,
) -> Result<Option<Inserted>, sqlx::Error> {
    let Submission { id, workspace_id, runnable, traceparent, .. } = submission;
    let names: Vec<String> = runnable.functions.iter().map(|pin| pin.name.clone()).collect();
    let row = sqlx::query_file!(
        "src/db/enqueue.sql",
        id,
        workspace_id,
        runnable.script.map(|(id, _)| id),
        runnable.script.map(|(_, version)| version),
        submission.trigger_type.as_str(),
        runnable.max_retries,
        runnable.build_hash,
        Json(&runnable.functions) as _,
        runnable.code_type,
        &names,
        &runnable.allowed_domains,
        submission.input.event.get(),
        submission.input.context.get(),
        submission.variables.get(),
        submission.env_sealed,
        submission.priority,
        traceparent.as_deref(),
        submission.replay_of,
        mode == Mode::FastPath,
        FAST_PATH_MAX_IN_BROKER,
        version.map(|RowVersion(xmin)| xmin),
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|row| Inserted {
        queued_at: row.queued_at,
        marked: row.is_marked.then(|| OutboxEntry {
            id: row.outbox_id,
            execution_id: *id,
            traceparent: traceparent.clone(),
            available_at: row.available_at,
        }),
    }))
}

/// Waits until all earlier commits are on disk. Writes a record to the write-ahead log after them, and commits it to
/// disk.
pub(crate) async fn wait_durable(connection: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query_scalar!("SELECT pg_logical_emit_message(true, 'runnerctl', '')::text")
        .fetch_one(connection)
        .await
        .map(drop)
}
