//! The response 202, for an execution that was just created or that an earlier request created.

use crate::{
    app::executions::submit::SubmitOutcome,
    db::{
        self,
        enqueue::{self, Submission},
    },
    http::{auth::Caller, error::ApiError, state::AppState},
    model::execution::{Execution, ExecutionSummary, Phases},
};
use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use shared::execution::Status;
use uuid::Uuid;

/// Returns the response for a submission. An execution that was just created is not read back.
pub(super) async fn submitted(
    state: &AppState,
    caller: &Caller,
    outcome: SubmitOutcome,
) -> Result<Response, ApiError> {
    match outcome {
        SubmitOutcome::Created { submission, queued_at } => {
            Ok(accepted(caller, &queued(*submission, queued_at)))
        }
        SubmitOutcome::Duplicate(earlier) => duplicate(state, caller, earlier).await,
    }
}

/// Returns the response for the execution that an earlier request with the same key created, in its current state.
pub(super) async fn duplicate(state: &AppState, caller: &Caller, id: Uuid) -> Result<Response, ApiError> {
    // Its row is visible before it is on disk.
    enqueue::wait_durable(&mut *state.pool.acquire().await?).await?;
    let execution = db::executions::get(&state.pool, caller.workspace_id, id).await?.ok_or_else(expired)?;
    Ok(accepted(caller, &execution))
}

/// Rejects a key whose execution was deleted after its retention.
pub(super) async fn require_kept(state: &AppState, caller: &Caller, id: Uuid) -> Result<(), ApiError> {
    db::executions::progress(&state.pool, caller.workspace_id, id).await?.map(drop).ok_or_else(expired)
}

fn expired() -> ApiError {
    ApiError::conflict("execution_expired", "The execution of this key is no longer kept.")
}

fn accepted(caller: &Caller, execution: &Execution) -> Response {
    let location = caller.location("executions", execution.summary.id);
    (StatusCode::ACCEPTED, [location], Json(execution)).into_response()
}

/// Returns the execution as [`db::executions::get`] reads it before a worker has claimed it.
fn queued(submission: Submission, queued_at: DateTime<Utc>) -> Execution {
    let Submission { id, trigger_type, runnable, input, variables, replay_of, .. } = submission;
    let (script_id, script_version) = runnable.script.unzip();
    Execution {
        summary: ExecutionSummary {
            id,
            script_id,
            script_version,
            trigger_type: trigger_type.as_str().to_owned(),
            status: Status::Queued.as_str().to_owned(),
            attempt: 0,
            result: None,
            error: None,
            function_names: runnable.functions.into_iter().map(|pin| pin.name).collect(),
            replay_of,
            queued_at,
            started_at: None,
            finished_at: None,
            duration_ms: None,
            phases: Phases { queue_ms: None, init_ms: None, run_ms: None, persist_ms: None },
            cpu_ms: None,
            memory_peak_bytes: None,
        },
        logs: Vec::new(),
        event: input.event,
        context: input.context,
        variables,
    }
}
