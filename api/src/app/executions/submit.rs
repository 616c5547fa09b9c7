//! Creates an execution of a saved script from a request.

use super::idempotency::IdempotencyKey;
use crate::{
    app::script_cache::ScriptCache,
    db::{
        self,
        enqueue::{self, Submission},
        queue_quota::QueueQuota,
        script_versions::{RowVersion, Version},
    },
    delivery::{Dispatcher, FastPath},
    model::{
        error::ApiError,
        execution::{ExecutionRequest, Input},
        execution_ids, variables,
    },
};
use chrono::{DateTime, Utc};
use shared::delivery::priority;
use sqlx::{Connection, PgConnection, PgPool};
use std::sync::Arc;
use uuid::Uuid;

/// Parts of the running api that a submission uses.
#[derive(Clone, Debug)]
pub struct SubmitDependencies {
    pub(crate) pool: PgPool,
    pub(crate) scripts: ScriptCache,
    pub(crate) quota: QueueQuota,
    pub(crate) dispatcher: Arc<Dispatcher>,
}

/// A request to execute a script. Its key, if it has one, was new when it was last looked up.
pub(crate) struct ScriptSubmission {
    pub(crate) deps: SubmitDependencies,
    pub(crate) workspace_id: Uuid,
    pub(crate) request: ExecutionRequest,
    pub(crate) key: Option<IdempotencyKey>,
    pub(crate) traceparent: Option<String>,
}

/// Result of a request for an execution.
pub(crate) enum SubmitOutcome {
    Created {
        submission: Box<Submission>,
        queued_at: DateTime<Utc>,
    },
    /// An earlier request with the same key created this execution.
    Duplicate(Uuid),
}

impl SubmitOutcome {
    pub(crate) fn execution_id(&self) -> Uuid {
        match self {
            Self::Created { submission, .. } => submission.id,
            Self::Duplicate(earlier) => *earlier,
        }
    }
}

impl ScriptSubmission {
    /// Creates the execution and publishes it, even if the client disconnects meanwhile.
    pub(crate) async fn submit(self) -> Result<SubmitOutcome, ApiError> {
        let dispatcher = Arc::clone(&self.deps.dispatcher);
        dispatcher.run_detached(self.submit_current()).await
    }

    /// Creates the execution from the cached version of the script. Tries again with a newly read version whenever the
    /// one that was used has changed.
    async fn submit_current(self) -> Result<SubmitOutcome, ApiError> {
        let Self { ref deps, workspace_id, ref request, .. } = self;
        // One connection for the whole request: returning it to the pool costs a ping.
        let mut connection = deps.pool.acquire().await?;
        let mut cached = deps.scripts.get(workspace_id, request.script_id);
        let mut is_admitted = false;
        loop {
            let (script, is_fresh) = match cached.take() {
                Some(cached) => (cached, false),
                None => (self.load_script(&mut connection).await?, true),
            };
            match self.admit(&script, &mut connection, &mut is_admitted).await {
                Ok(submission) => {
                    if let Some(outcome) = self.write(submission, script.row_version, &mut connection).await?
                    {
                        return Ok(outcome);
                    }
                }
                Err(rejection) if is_fresh => return Err(rejection),
                // The script may have changed, so that the request is valid now, or may have been deleted.
                Err(_) => {}
            }
        }
    }

    /// Reads the newest version of the script, and caches it.
    async fn load_script(&self, connection: &mut PgConnection) -> Result<Arc<Version>, ApiError> {
        let script_id = self.request.script_id;
        let newest = db::script_versions::newest(connection, self.workspace_id, script_id).await?;
        let newest = Arc::new(newest.ok_or_else(|| ApiError::not_found("script"))?);
        self.deps.scripts.insert(self.workspace_id, script_id, &newest);
        Ok(newest)
    }

    /// Returns the execution to be written, or rejects the request. Counts it for the workspace's queue quota once.
    async fn admit(
        &self,
        script: &Version,
        connection: &mut PgConnection,
        is_admitted: &mut bool,
    ) -> Result<Submission, ApiError> {
        let request = &self.request;
        let submission = Submission {
            id: execution_ids::next(),
            workspace_id: self.workspace_id,
            trigger_type: request.trigger_type,
            runnable: script.runnable.clone(),
            input: Input { event: request.event.clone(), context: request.context.clone() },
            variables: variables::complete(&request.variables, &script.definitions)?,
            env_sealed: None,
            priority: priority::BACKGROUND,
            traceparent: self.traceparent.clone(),
            replay_of: None,
        };
        if !*is_admitted {
            self.deps.quota.admit(connection, self.workspace_id).await?;
            *is_admitted = true;
        }
        Ok(submission)
    }

    /// Writes and publishes the execution, unless an earlier request with the key created one. Returns `None` if the
    /// script has changed.
    async fn write(
        &self,
        submission: Submission,
        script: RowVersion,
        connection: &mut PgConnection,
    ) -> Result<Option<SubmitOutcome>, ApiError> {
        let fast_path = FastPath::try_enter(&self.deps.dispatcher);
        let mode = fast_path.mode();
        let inserted = if let Some(key) = &self.key {
            let mut transaction = connection.begin().await?;
            if let Some(earlier) = key.claim(&mut transaction, self.workspace_id, submission.id).await? {
                return Ok(Some(SubmitOutcome::Duplicate(earlier)));
            }
            let inserted = enqueue::insert_if_unchanged(&mut transaction, &submission, mode, script).await?;
            if inserted.is_some() {
                transaction.commit().await?;
            }
            inserted
        } else {
            enqueue::insert_if_unchanged(connection, &submission, mode, script).await?
        };
        let Some(inserted) = inserted else { return Ok(None) };
        let queued_at = fast_path.publish_and_wait_durable(inserted, connection).await?;
        Ok(Some(SubmitOutcome::Created { submission: Box::new(submission), queued_at }))
    }
}
