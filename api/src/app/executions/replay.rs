//! Repeats an execution as a new one.

use super::{RunDependencies, idempotency::IdempotencyKey, submit::SubmitOutcome};
use crate::{
    db::{
        self,
        enqueue::{self, Submission},
        replays::Replayed,
    },
    delivery::FastPath,
    model::{
        error::{ApiError, FieldErrors},
        execution::ReplayRequest,
        execution_ids, variables,
    },
};
use shared::{
    delivery::priority,
    encryption::{AssociatedData, Keyring, OpenError},
};
use sqlx::Connection as _;
use std::sync::Arc;
use uuid::Uuid;

/// A request to repeat the execution `original`.
pub(crate) struct Replay {
    pub(crate) workspace_id: Uuid,
    pub(crate) original: Uuid,
    pub(crate) request: ReplayRequest,
    /// Its key, if it has one, was new when it was last looked up.
    pub(crate) key: Option<IdempotencyKey>,
    pub(crate) traceparent: Option<String>,
}

impl Replay {
    /// Creates the new execution and publishes it, even if the client disconnects meanwhile.
    pub(crate) async fn submit(mut self, deps: &RunDependencies<'_>) -> Result<SubmitOutcome, ApiError> {
        let (workspace_id, key) = (self.workspace_id, self.key.take());
        let replayed =
            db::replays::replayed(deps.pool, workspace_id, self.original, self.request.version).await?;
        let replayed = replayed.ok_or_else(|| ApiError::not_found("execution"))?;
        let submission = self.submission(replayed, deps.keyring)?;
        deps.quota.admit(deps.pool, workspace_id).await?;
        let (dispatcher, mut connection) = (Arc::clone(deps.dispatcher), deps.pool.acquire().await?);
        let submitting = async move {
            let fast_path = FastPath::try_enter(&dispatcher);
            let mut transaction = connection.begin().await?;
            if let Some(key) = key
                && let Some(earlier) = key.claim(&mut transaction, workspace_id, submission.id).await?
            {
                return Ok(SubmitOutcome::Duplicate(earlier));
            }
            let inserted = enqueue::insert(&mut transaction, &submission, fast_path.mode()).await?;
            transaction.commit().await?;
            let queued_at = fast_path.publish_and_wait_durable(inserted, &mut connection).await?;
            Ok(SubmitOutcome::Created { submission: Box::new(submission), queued_at })
        };
        deps.dispatcher.run_detached(submitting).await
    }

    /// Returns the new execution: the stored parts of the original, except those that the request replaces.
    fn submission(self, replayed: Replayed, keyring: &Keyring) -> Result<Submission, ApiError> {
        let Self { workspace_id, original, request, traceparent, key: _ } = self;
        let Replayed { runnable, definitions, given, trigger_type, env_sealed } = replayed;
        let runnable = runnable.ok_or_else(|| {
            ApiError::Invalid(FieldErrors::one("version", "The script has no such version, or is deleted."))
        })?;
        let given_variables = request.variables.as_deref().unwrap_or(&given.variables.0);
        let variables = variables::complete(given_variables, &definitions)?;
        let id = execution_ids::next();
        Ok(Submission {
            id,
            workspace_id,
            trigger_type,
            runnable,
            input: request.input(given.event.0, given.context.0)?,
            variables,
            env_sealed: reencrypt(keyring, env_sealed.as_deref(), original, id)?,
            priority: priority::BACKGROUND,
            traceparent,
            replay_of: Some(original),
        })
    }
}

/// Encrypts the environment of the execution `from` for the execution `to`: each is bound to its execution.
fn reencrypt(
    keyring: &Keyring,
    sealed: Option<&[u8]>,
    from: Uuid,
    to: Uuid,
) -> Result<Option<Vec<u8>>, ApiError> {
    let Some(sealed) = sealed else { return Ok(None) };
    let opened = keyring.open(sealed, &AssociatedData::execution_env(from)).map_err(|error| match error {
        // A finished execution is final, and so is its environment: `api rotate-encryption-key` does not change it.
        OpenError::UnknownKey { .. } => ApiError::conflict(
            "environment_unreadable",
            "The environment of this execution was sealed with a key that is no longer in use.",
        ),
        error => ApiError::Internal(format!("can't decrypt the environment of an execution: {error}").into()),
    })?;
    Ok(Some(keyring.seal(&opened, &AssociatedData::execution_env(to))))
}
