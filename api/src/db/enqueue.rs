//! Brings an execution into being: its row and the outbox row that asks for its delivery.
//!
//! Invariant: the two are one statement. There is no execution that nobody delivers; a delivery of nothing does nothing.
//!
//! While nobody waits, that statement also marks the outbox row as published, and who writes it publishes it: right after
//! the commit (ADR 14), or ahead of the statement (ADR 16).

use super::script_versions::RowState;
use crate::{
    db::outbox::Departure,
    delivery::{Outgoing, Ticket},
    model::{
        execution::{Input, JsonObject},
        script::FunctionPin,
    },
};
use chrono::{DateTime, Utc};
use shared::execution::TriggerType;
use sqlx::{PgConnection, types::Json};
use std::sync::Arc;
use uuid::Uuid;

/// Outbox priority of somebody who waits at an editor: before all background work.
pub const INTERACTIVE: i16 = 10;
/// Outbox priority of everything else; the relay is fair among it. Workers give 5 to what had its turn before: a run
/// whose worker was lost, or which was handed back.
pub const BACKGROUND: i16 = 0;

/// A version of a script, ready to run. Read by `store::runnables`.
#[derive(Clone, Debug)]
pub struct Runnable {
    /// None for unsaved code.
    pub script: Option<(Uuid, i32)>,
    pub build_hash: String,
    pub code_type: String,
    pub functions: Vec<FunctionPin>,
    pub allowed_domains: Vec<String>,
    pub max_retries: i32,
}

/// An execution to be.
#[derive(Clone, Debug)]
pub struct Submission {
    pub id: Uuid,
    pub workspace_id: Uuid,
    pub trigger_type: TriggerType,
    pub runnable: Runnable,
    pub input: Input,
    /// With defaults filled in: see [`crate::model::variables::complete`].
    pub variables: JsonObject,
    /// Sealed environment of this execution alone.
    pub env_sealed: Option<Vec<u8>>,
    pub priority: i16,
    pub traceparent: Option<String>,
    pub replay_of: Option<Uuid>,
}

/// As many messages as the relay's `depart` lets the broker hold even while no worker is known: a row that leaves at once
/// takes nobody's place.
const EXPRESS_WINDOW: i64 = 8;

/// An execution that is written.
#[derive(Debug)]
#[must_use = "it has to depart"]
pub struct Submitted {
    pub queued_at: DateTime<Utc>,
    /// What its writer publishes after the commit; `None` if it is the relay's turn. Both by [`Self::depart`].
    pub departure: Option<Departure>,
    /// With one, the commit does not wait for the disk.
    ticket: Option<Ticket>,
    workspace_id: Uuid,
    /// Places that the broker had; `None` where runs are counted.
    places: Option<i64>,
}

impl Submitted {
    /// To be called after the commit: lets the execution leave, and waits until it is on disk. Only then it is accepted.
    pub async fn depart(
        self,
        outgoing: &Arc<Outgoing>,
        connection: &mut PgConnection,
    ) -> Result<DateTime<Utc>, sqlx::Error> {
        let is_durable = self.ticket.is_none();
        if let (Some(ticket), Some(places)) = (&self.ticket, self.places) {
            ticket.note_places(self.workspace_id, places);
        }
        outgoing.leave(self.departure, self.ticket);
        if !is_durable {
            flush(connection).await?;
        }
        Ok(self.queued_at)
    }
}

/// Waits until all that was committed before is on disk: the record of the write-ahead log that this writes comes after it.
pub async fn flush(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query_scalar!("SELECT pg_logical_emit_message(true, 'runnerctl', '')::text")
        .fetch_one(connection)
        .await
        .map(drop)
}

/// Writes the execution and its outbox row in one statement. With a ticket the row leaves by its writer, if no other waits
/// and the broker holds fewer than [`EXPRESS_WINDOW`] messages; else by the relay, in the order the relay finds fair.
///
/// With a ticket the commit does not wait for the disk, so that the message is on its way meanwhile: should the server
/// crash, the message finds no execution, and none was accepted. A claim can't be on disk without it. While there is room
/// to spare the message even goes ahead of the statement. The ticket is held until [`Submitted::depart`].
pub async fn submit(
    connection: &mut PgConnection,
    submission: &Submission,
    ticket: Option<Ticket>,
) -> Result<Submitted, sqlx::Error> {
    submit_version(connection, submission, ticket, None).await?.ok_or(sqlx::Error::RowNotFound)
}

/// As [`submit`]. With the state of the script's row that the submission was made from, only while that is its state;
/// else nothing is written: `None`.
pub async fn submit_version(
    connection: &mut PgConnection,
    submission: &Submission,
    mut ticket: Option<Ticket>,
    script: Option<RowState>,
) -> Result<Option<Submitted>, sqlx::Error> {
    let Submission { id, workspace_id, runnable, traceparent, .. } = submission;
    let is_ahead =
        ticket.as_mut().is_some_and(|ticket| ticket.send_ahead(*workspace_id, *id, traceparent.as_deref()));
    if is_ahead {
        // The message has the longer way.
        tokio::task::yield_now().await;
    }
    let names: Vec<String> = runnable.functions.iter().map(|pin| pin.name.clone()).collect();
    let row = sqlx::query!(
        r#"WITH execution AS (
             INSERT INTO script_executions (id, workspace_id, script_id, script_version, trigger_type, retries_left,
                 build_hash, functions, code_type, function_names, allowed_domains, event, context, variables, env_sealed,
                 priority, traceparent, replay_of)
             SELECT $1::uuid, $2::uuid, $3::uuid, $4::integer, $5::text, $6::integer, $7::text, $8::jsonb, $9::text,
                 -- From text, never through `jsonb`: that writes `1e131071` out in 131,072 digits, and refuses what `json` holds.
                 $10::text[], $11::text[], $12::text::json, $13::text::json, $14::text::json, $15::bytea, $16::smallint,
                 $17::text, $18::uuid
             WHERE $21::bigint IS NULL OR EXISTS (SELECT FROM scripts WHERE id = $3 AND xmin::text::bigint = $21)
             RETURNING id, workspace_id, priority, traceparent, queued_at),
         room AS (
             -- Of the last minute only, in the order of an index: however many dead rows lie behind. Of older ones the relay
             -- knows.
             SELECT CASE
                 WHEN NOT $19 OR NOT EXISTS (SELECT FROM workspaces WHERE id = $2 AND max_running IS NULL) THEN NULL
                 WHEN (SELECT id FROM outbox
                       WHERE published_at IS NULL AND available_at BETWEEN now() - interval '1 minute' AND now()
                       ORDER BY available_at LIMIT 1) IS NOT NULL THEN 0
                 ELSE $20 - (SELECT count(*) FROM (
                                 SELECT FROM outbox WHERE published_at > now() - interval '1 minute'
                                 ORDER BY published_at DESC LIMIT $20) few)
                 END AS places),
         enqueued AS (
             INSERT INTO outbox (execution_id, workspace_id, priority, traceparent, published_at)
             SELECT id, workspace_id, priority, traceparent, CASE WHEN $22 OR places > 0 THEN clock_timestamp() END
             FROM execution, room
             RETURNING id, available_at, published_at)
         SELECT queued_at, enqueued.id AS outbox_id, available_at, published_at IS NOT NULL AS "has_left!",
                places, CASE WHEN $19 THEN set_config('synchronous_commit', 'off', true) END AS until_commit
         FROM execution, enqueued, room"#,
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
        ticket.is_some(),
        EXPRESS_WINDOW,
        script.map(|RowState(state)| state),
        is_ahead,
    )
    .fetch_optional(connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let departure =
        row.has_left.then(|| Departure::new(row.outbox_id, *id, traceparent.clone(), row.available_at));
    let (queued_at, places) = (row.queued_at, row.places);
    Ok(Some(Submitted { queued_at, departure, ticket, workspace_id: *workspace_id, places }))
}
