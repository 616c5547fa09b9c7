//! `POST /scripts/test/`: runs unsaved code over the same queue, workers and sandboxes as all executions.

use super::{response, traceparent, wait_for_end};
use crate::{
    app::executions::test_run,
    db,
    http::{
        Resource,
        auth::{Authorized, RunOwnCode},
        error::{ApiError, ErrorKind},
        extract::{
            idempotency_key::IdempotencyKeyHeader,
            json::Payload,
            query::{NoQuery, Query},
        },
        openapi::responses::{Conflict, ErrorResponses},
        state::AppState,
    },
    model::{
        StillRunning,
        execution::{Execution, TestRun},
        idempotency,
    },
};
use axum::{Json, Router, extract::State, http::HeaderMap, routing::post};
use shared::telemetry::traces;

pub(in crate::http) fn router() -> Router<AppState> {
    Router::new().resource("/scripts/test", post(run))
}

/// Run unsaved code
///
/// Needs the scope `execute`, and `secrets` or `write`: the code reads the workspace's environment. Runs before all
/// background work. Responds with the whole execution when it has ended, or with 504 and its
/// `execution_id` if it outlasts the request, so that the client can read it later. The same `Idempotency-Key` with the
/// same body waits for the first execution; with another body it is rejected (409). Values of `env` are not compared.
#[utoipa::path(post, path = "/scripts/test/", tag = "Scripts", request_body = TestRun,
    params(("Idempotency-Key" = Option<String>, Header, description = "Unique per intended execution", max_length = 255)),
    responses(
    (status = 200, description = "The execution, which has ended", body = Execution),
    (status = 504, description = "Not ended yet; `execution_id` identifies it", body = StillRunning), Conflict, ErrorResponses))]
pub(crate) async fn run(
    State(state): State<AppState>,
    caller: Authorized<RunOwnCode>,
    Query(NoQuery): Query<NoQuery>,
    key: IdempotencyKeyHeader,
    headers: HeaderMap,
    Payload(test): Payload<TestRun>,
) -> Result<Json<Execution>, ApiError> {
    let mut accept = traces::accept(traceparent(&headers));
    let key = key.of_request(|| idempotency::hash_of_test(&test));
    let earlier = match &key {
        Some(key) => key.find_existing(&state.pool, caller.workspace_id).await?,
        None => None,
    };
    let id = if let Some(earlier) = earlier {
        response::require_kept(&state, &caller, earlier).await?;
        earlier
    } else {
        let (deps, packages) = (state.for_runs(), state.packages.as_ref());
        test_run::submit(&deps, packages, caller.workspace_id, test, key, accept.traceparent()).await?
    };
    accept.set_execution_id(id);
    drop(accept);

    wait_for_end(&state, caller.workspace_id, id, state.http.test_run_wait).await?;
    let execution = db::executions::get(&state.pool, caller.workspace_id, id).await?;
    let execution = execution.ok_or_else(|| ApiError::not_found("execution"))?;
    if execution.progress()?.status.is_terminal() {
        return Ok(Json(execution));
    }
    let detail = "The execution has not ended yet. Read it by its id.";
    let timeout = ApiError::problem(ErrorKind::StillRunning, "still_running", detail);
    Err(timeout.with("execution_id", id.to_string()).with("status", execution.summary.status))
}
