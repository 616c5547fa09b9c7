//! From a request for an execution to its rows.

use crate::{
    db::{
        self,
        enqueue::{self, BACKGROUND, Submission},
        executions::KeyUse,
        script_versions::{RowState, Version},
    },
    http::{error::ApiError, state::AppState},
    model::{
        execution::{ExecutionRequest, Input},
        execution_ids, variables,
    },
};
use chrono::{DateTime, Utc};
use sqlx::{Connection, PgConnection, Postgres, pool::PoolConnection};
use std::sync::Arc;
use uuid::Uuid;

/// A request whose key, if it has one, is new as far as is known.
pub(crate) struct Intake {
    pub(crate) state: AppState,
    pub(crate) workspace_id: Uuid,
    pub(crate) request: ExecutionRequest,
    pub(crate) key: Option<Key>,
    pub(crate) traceparent: Option<String>,
}

/// An `Idempotency-Key`.
pub(crate) struct Key {
    pub(crate) text: String,
    /// What the request says: see [`crate::model::idempotency::hash`].
    pub(crate) hash: [u8; 32],
}

/// Whether a request brought its execution into being, or one with the same key did before.
pub(crate) enum Once {
    Now { queued_at: DateTime<Utc> },
    Before(Uuid),
}

impl Once {
    pub(crate) const fn id(&self, submission: &Submission) -> Uuid {
        match self {
            Self::Now { .. } => submission.id,
            Self::Before(earlier) => *earlier,
        }
    }
}

impl Intake {
    /// Writes the execution and lets it leave. With the script as it is remembered, if that is still what it is: one
    /// statement then does it all.
    pub(crate) async fn submit(self) -> Result<(Once, Submission), ApiError> {
        let intake = Arc::new(self);
        let Self { ref state, workspace_id, ref request, .. } = *intake;
        // One for all that follows: each that is given back is pinged first.
        let mut connection = state.pool.acquire().await?;
        let mut admitted = None;
        if let Some(known) = state.runnables.remembered(workspace_id, request.script_id)
            && let Ok(submission) = intake.submission(&known)
        {
            let admission = state.quota.admit(&mut *connection, workspace_id).await;
            if admission.is_ok() {
                let written = intake.write(connection, submission, Some(known.state)).await?;
                if let Some(once) = written.once {
                    return Ok((once, written.submission));
                }
                connection = written.connection;
            }
            admitted = Some(admission);
        }
        let newest = db::script_versions::newest(&mut *connection, workspace_id, request.script_id).await?;
        let newest = Arc::new(newest.ok_or_else(|| ApiError::not_found("script"))?);
        state.runnables.remember(workspace_id, request.script_id, &newest);
        let submission = intake.submission(&newest)?;
        match admitted {
            Some(admission) => admission?,
            None => state.quota.admit(&mut *connection, workspace_id).await?,
        }
        let Written { once, submission, .. } = intake.write(connection, submission, None).await?;
        Ok((once.ok_or(sqlx::Error::RowNotFound)?, submission))
    }

    fn submission(&self, script: &Version) -> Result<Submission, ApiError> {
        let request = &self.request;
        Ok(Submission {
            id: execution_ids::next(),
            workspace_id: self.workspace_id,
            trigger_type: request.trigger_type,
            runnable: script.runnable.clone(),
            input: Input { event: request.event.clone(), context: request.context.clone() },
            variables: variables::complete(&request.variables, &script.definitions)?,
            env_sealed: None,
            priority: BACKGROUND,
            traceparent: self.traceparent.clone(),
            replay_of: None,
        })
    }

    /// Submits, also when nobody waits for it any more.
    async fn write(
        self: &Arc<Self>,
        mut connection: PoolConnection<Postgres>,
        submission: Submission,
        script: Option<RowState>,
    ) -> Result<Written, ApiError> {
        let intake = Arc::clone(self);
        let writing = async move {
            let once = intake.write_once(&mut connection, &submission, script).await?;
            Ok(Written { once, connection, submission })
        };
        self.state.outgoing.see_through(writing).await
    }

    /// Submits, unless the key led to an execution before. `None` if the script is no longer what it was.
    async fn write_once(
        &self,
        connection: &mut PgConnection,
        submission: &Submission,
        script: Option<RowState>,
    ) -> Result<Option<Once>, ApiError> {
        let outgoing = &self.state.outgoing;
        let ticket = outgoing.ticket();
        let submitted = if let Some(Key { text, hash }) = &self.key {
            let mut transaction = connection.begin().await?;
            let key_use = db::executions::claim_key(
                &mut transaction,
                submission.workspace_id,
                text,
                hash,
                submission.id,
            );
            if let Some(earlier) = key_use.await? {
                return first_of(&earlier).map(Once::Before).map(Some);
            }
            let submitted = enqueue::submit_version(&mut transaction, submission, ticket, script).await?;
            if submitted.is_some() {
                transaction.commit().await?;
            }
            submitted
        } else {
            enqueue::submit_version(connection, submission, ticket, script).await?
        };
        let Some(submitted) = submitted else { return Ok(None) };
        Ok(Some(Once::Now { queued_at: submitted.depart(outgoing, connection).await? }))
    }
}

/// What came of a submission, and what it was made with.
struct Written {
    /// `None` if the script was no longer what it was.
    once: Option<Once>,
    connection: PoolConnection<Postgres>,
    submission: Submission,
}

/// The execution that a key led to when it was first used.
pub(crate) fn first_of(earlier: &KeyUse) -> Result<Uuid, ApiError> {
    match earlier {
        KeyUse::SameRequest(first) => Ok(*first),
        KeyUse::AnotherRequest => {
            let detail = "This Idempotency-Key was used with another body.";
            Err(ApiError::conflict("idempotency_key_reused", detail))
        }
    }
}
