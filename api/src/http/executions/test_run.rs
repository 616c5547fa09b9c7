//! `POST /scripts/test/`: unsaved code through the same queue, workers and sandboxes as everything else.

use super::{traceparent, wait_for_end};
use crate::{
    app::{
        build::{self, Kind},
        environment::{self, Values},
        packages,
    },
    db::{
        self,
        enqueue::{self, INTERACTIVE, Runnable, Submission},
    },
    delivery::FastPath,
    http::{
        Resource,
        auth::{Authorized, Execute},
        error::{ApiError, ErrorKind},
        extract::{
            json::Payload,
            query::{NoQuery, Query},
        },
        openapi::responses::ErrorResponses,
        state::AppState,
    },
    model::{
        StillRunning,
        execution::{Execution, TestRun},
        execution_ids,
    },
};
use axum::{Json, Router, extract::State, http::HeaderMap, routing::post};
use shared::{encryption::AssociatedData, execution::TriggerType, telemetry::traces};
use sqlx::Connection;

pub(in crate::http) fn router() -> Router<AppState> {
    Router::new().resource("/scripts/test", post(run))
}

/// Run unsaved code
///
/// Before all background work. Answers the whole execution when it is over; 504 with its `execution_id` if it
/// outlives the request, so that the client can go on asking for it.
#[utoipa::path(post, path = "/scripts/test/", tag = "Scripts", request_body = TestRun, responses(
    (status = 200, description = "The execution, over", body = Execution),
    (status = 504, description = "Not over yet; `execution_id` names it", body = StillRunning), ErrorResponses))]
pub(crate) async fn run(
    State(state): State<AppState>,
    caller: Authorized<Execute>,
    Query(NoQuery): Query<NoQuery>,
    headers: HeaderMap,
    Payload(test): Payload<TestRun>,
) -> Result<Json<Execution>, ApiError> {
    state.quota.admit(&state.pool, caller.workspace_id).await?;
    let id = execution_ids::next();
    let mut accept = traces::accept(traceparent(&headers));
    accept.set_execution_id(id);
    let env = environment::merge(test.env, &Values::new())?;
    let packages = packages::resolve(state.packages.as_ref(), &test.code).await?;
    let known = db::functions::known(&mut *state.pool.acquire().await?, Some(caller.workspace_id)).await?;
    // Without a connection: it takes as long as the code is large.
    let built = build::build(Kind::Script(test.code_type), test.code, packages, &known).await?;
    let submission = Submission {
        id,
        workspace_id: caller.workspace_id,
        trigger_type: TriggerType::Test,
        runnable: Runnable {
            script: None,
            build_hash: built.build.hash.clone(),
            code_type: test.code_type.as_str().to_owned(),
            functions: built.functions,
            allowed_domains: test.allowed_domains,
            max_retries: 0,
        },
        input: test.input,
        variables: test.variables,
        env_sealed: environment::seal(&state.keyring, &env, &AssociatedData::execution_env(id)),
        priority: INTERACTIVE,
        traceparent: accept.traceparent(),
        replay_of: None,
    };
    let (dispatcher, mut connection) = (state.dispatcher.clone(), state.pool.acquire().await?);
    let submitting = async move {
        let fast_path = FastPath::try_enter(&dispatcher);
        let mut transaction = connection.begin().await?;
        db::builds::insert(&mut transaction, &built.build).await?;
        let inserted = enqueue::insert(&mut transaction, &submission, fast_path.mode()).await?;
        transaction.commit().await?;
        fast_path.publish_and_wait_durable(inserted, &mut connection).await.map(drop)
    };
    state.dispatcher.run_detached(submitting).await?;
    drop(accept);

    wait_for_end(&state, caller.workspace_id, id, state.http.test_run_wait).await?;
    let execution = db::executions::get(&state.pool, caller.workspace_id, id).await?;
    let execution = execution.ok_or_else(|| ApiError::not_found("execution"))?;
    if execution.progress()?.status.is_terminal() {
        return Ok(Json(execution));
    }
    let detail = "The execution is not over yet; ask for it by its id.";
    let late = ApiError::problem(ErrorKind::StillRunning, "still_running", detail);
    Err(late.with("execution_id", id.to_string()).with("status", execution.summary.status))
}
