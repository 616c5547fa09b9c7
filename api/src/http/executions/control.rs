//! `POST /executions/{id}/cancel/` and `/replay/`.

use super::{response, submit::traceparent};
use crate::{
    db::{
        self,
        enqueue::{self, BACKGROUND, Submission},
        replays::Replayed,
    },
    delivery::FastPath,
    http::{
        auth::{Authorized, Execute},
        error::ApiError,
        extract::{
            json::OptionalPayload,
            query::{NoQuery, PathText, Query, path_id},
        },
        openapi::responses::{Conflict, ErrorResponses, NotFound},
        state::AppState,
    },
    model::{
        execution::{Execution, ReplayRequest},
        execution_ids, variables,
    },
};
use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use shared::{
    encryption::{AssociatedData, OpenError},
    execution::{ErrorCode, Status},
    http::fields::FieldErrors,
    telemetry::{metrics::EXECUTIONS, traces},
};
use uuid::Uuid;

/// A body without fields.
#[derive(Debug)]
pub(crate) struct NoFields;

impl crate::http::extract::json::ReadFields for NoFields {
    fn read(_: &mut crate::http::extract::json::Fields) -> Option<Self> {
        Some(Self)
    }
}

/// Cancel an execution
///
/// A queued one is cancelled at once (200). A running one is asked to stop (202), and ends as `cancelled` unless it
/// ends otherwise first. Repeating it is harmless; what ended otherwise is refused (409).
#[utoipa::path(post, path = "/executions/{id}/cancel/", tag = "Executions", params(("id" = Uuid, Path)), responses(
    (status = 200, description = "Cancelled", body = Execution),
    (status = 202, description = "Asked to stop", body = Execution), NotFound, Conflict, ErrorResponses))]
pub(crate) async fn cancel(
    State(state): State<AppState>,
    caller: Authorized<Execute>,
    PathText(id): PathText,
    Query(NoQuery): Query<NoQuery>,
    OptionalPayload(NoFields): OptionalPayload<NoFields>,
) -> Result<Response, ApiError> {
    let id = path_id(&id, "execution")?;
    let found = db::executions::cancel(&state.pool, caller.workspace_id, id).await?;
    let status = match found.ok_or_else(|| ApiError::not_found("execution"))? {
        Status::Queued => {
            EXECUTIONS.with([Status::Cancelled.as_str(), ErrorCode::Cancelled.as_str()]).increment(1);
            StatusCode::OK
        }
        Status::Cancelled => StatusCode::OK,
        Status::Running => StatusCode::ACCEPTED,
        ended @ (Status::Completed | Status::Errored) => {
            let detail = format!("The execution is {ended} already.");
            return Err(ApiError::conflict("already_finished", detail));
        }
    };
    let execution = db::executions::get(&state.pool, caller.workspace_id, id).await?;
    let execution = execution.ok_or_else(|| ApiError::not_found("execution"))?;
    Ok((status, Json(execution)).into_response())
}

/// Repeat an execution
///
/// With the same version and input unless the body says otherwise. Works while the first one still runs, too.
#[utoipa::path(post, path = "/executions/{id}/replay/", tag = "Executions", request_body = Option<ReplayRequest>,
    params(("id" = Uuid, Path)),
    responses((status = 202, description = "Queued", body = Execution), NotFound, Conflict, ErrorResponses))]
pub(crate) async fn replay(
    State(state): State<AppState>,
    caller: Authorized<Execute>,
    PathText(id): PathText,
    Query(NoQuery): Query<NoQuery>,
    headers: HeaderMap,
    OptionalPayload(request): OptionalPayload<ReplayRequest>,
) -> Result<Response, ApiError> {
    let id = path_id(&id, "execution")?;
    let Replayed { runnable, definitions, given, trigger_type, env_sealed } =
        db::replays::replayed(&state.pool, caller.workspace_id, id, request.version)
            .await?
            .ok_or_else(|| ApiError::not_found("execution"))?;
    let runnable = runnable.ok_or_else(|| {
        ApiError::Invalid(FieldErrors::one("version", "The script has no such version, or is deleted."))
    })?;
    let given_variables = request.variables.as_deref().unwrap_or(&given.variables.0);
    let variables = variables::complete(given_variables, &definitions)?;
    let input = request.input(given.event.0, given.context.0)?;
    let replay_id = execution_ids::next();
    let mut accept = traces::accept(traceparent(&headers));
    accept.set_execution_id(replay_id);
    state.quota.admit(&state.pool, caller.workspace_id).await?;
    let submission = Submission {
        id: replay_id,
        workspace_id: caller.workspace_id,
        trigger_type,
        runnable,
        input,
        variables,
        env_sealed: reseal(&state, env_sealed.as_deref(), id, replay_id)?,
        priority: BACKGROUND,
        traceparent: accept.traceparent(),
        replay_of: Some(id),
    };
    let (dispatcher, mut connection) = (state.dispatcher.clone(), state.pool.acquire().await?);
    let submitting = async move {
        let fast_path = FastPath::try_enter(&dispatcher);
        let inserted = enqueue::insert(&mut connection, &submission, fast_path.mode()).await?;
        let queued_at = fast_path.publish_and_wait_durable(inserted, &mut connection).await?;
        Ok::<_, sqlx::Error>((submission, queued_at))
    };
    let (submission, queued_at) = state.dispatcher.run_detached(submitting).await?;
    Ok(response::created(&caller, submission, queued_at))
}

/// A sealed environment is bound to its execution: the new one needs its own.
fn reseal(
    state: &AppState,
    sealed: Option<&[u8]>,
    from: Uuid,
    to: Uuid,
) -> Result<Option<Vec<u8>>, ApiError> {
    let Some(sealed) = sealed else { return Ok(None) };
    let opened = state.keyring.open(sealed, &AssociatedData::execution_env(from));
    let opened = opened.map_err(|error| match error {
        // Finished executions are final, their sealed environment included: `api rotate-encryption-key` leaves it as it
        // is.
        OpenError::UnknownKey { .. } => ApiError::conflict(
            "environment_unreadable",
            "The environment of this execution was sealed with a key that is no longer in use.",
        ),
        error => ApiError::Internal(format!("can't open an execution's environment: {error}").into()),
    })?;
    Ok(Some(state.keyring.seal(&opened, &AssociatedData::execution_env(to))))
}
