//! `GET /executions/`, `GET /executions/{id}/` and `GET /executions/{id}/logs/`.

use super::live_clients::LiveClient;
use crate::{
    db::{self, executions::ExecutionFilter},
    http::{
        auth::{Authorized, Read},
        error::ApiError,
        etag::Etag,
        extract::query::{Page, PageRequest, Parameters, PathText, Query, ReadQuery, path_id},
        openapi::responses::{ErrorResponses, NotFound},
        state::AppState,
    },
    model::execution::{Execution, ExecutionSummary, Log, Progress},
};
use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use shared::execution::{Status, TriggerType};
use std::time::Duration;
use utoipa::ToSchema;
use uuid::Uuid;

/// Limits the seconds for which a request waits.
const MAX_WAIT_S: i64 = 60;

/// Filters of a list of executions.
pub(crate) struct ExecutionQuery {
    filter: ExecutionFilter,
    page: PageRequest,
}

impl ReadQuery for ExecutionQuery {
    fn read(parameters: &mut Parameters) -> Option<Self> {
        let statuses: Vec<&str> = Status::ALL.iter().map(|status| status.as_str()).collect();
        let triggers: Vec<&str> = TriggerType::ALL.iter().map(|trigger| trigger.as_str()).collect();
        let filter = ExecutionFilter {
            script_id: parameters.parsed("script_id", "a UUID"),
            status: parameters.choice("status", &statuses).and_then(|status| status.parse().ok()),
            trigger_type: parameters
                .choice("trigger_type", &triggers)
                .and_then(|trigger| trigger.parse().ok()),
            created_after: parameters.time("created_after"),
            created_before: parameters.time("created_before"),
        };
        Some(Self { filter, page: parameters.page() })
    }
}

/// List executions
///
/// Newest first, without logs.
#[utoipa::path(get, path = "/executions/", tag = "Executions", params(
    ("script_id" = Option<Uuid>, Query, description = "Only of this script"),
    ("status" = Option<String>, Query, description = "Only these: `queued`, `running`, `completed`, `errored` or `cancelled`"),
    ("trigger_type" = Option<String>, Query, description = "Only these: `automation`, `workflow_transition`, `cron`, `test` or `api`"),
    ("created_after" = Option<chrono::DateTime<chrono::Utc>>, Query, description = "Only those with a later `queued_at`"),
    ("created_before" = Option<chrono::DateTime<chrono::Utc>>, Query, description = "Only those with an earlier `queued_at`"),
    ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ("per_page" = Option<i64>, Query, description = "50 if left out", minimum = 1, maximum = 100),
), responses((status = 200, body = Page<ExecutionSummary>), ErrorResponses))]
pub(crate) async fn list(
    State(state): State<AppState>,
    caller: Authorized<Read>,
    Query(query): Query<ExecutionQuery>,
) -> Result<Response, ApiError> {
    let memory = state.answers.reserve(caller.workspace_id).await?;
    let pool = state.lists.acquire(caller.workspace_id).await?;
    let rows = db::executions::list(&pool, caller.workspace_id, &query.filter, query.page).await?;
    let page = query.page.page(rows, |execution| execution.id, |execution| execution)?;
    Ok(memory.page(page))
}

/// Time to wait for the end of the execution.
pub(crate) struct WaitQuery(Duration);

impl ReadQuery for WaitQuery {
    fn read(parameters: &mut Parameters) -> Option<Self> {
        let seconds = parameters.number("wait", 0, MAX_WAIT_S).unwrap_or(0);
        Some(Self(Duration::from_secs(seconds.unsigned_abs())))
    }
}

/// Read an execution
///
/// With `wait`, responds when the execution has ended, or with its state when the time is up. With `If-None-Match`,
/// responds with 304 if nothing has changed.
#[utoipa::path(get, path = "/executions/{id}/", tag = "Executions", params(
    ("id" = Uuid, Path),
    ("wait" = Option<i64>, Query, description = "Seconds to wait for the end", minimum = 0, maximum = 60),
    ("If-None-Match" = Option<String>, Header, description = "An `ETag` of an earlier response"),
), responses((status = 200, body = Execution), (status = 304, description = "Unchanged"), NotFound, ErrorResponses))]
pub(crate) async fn read(
    State(state): State<AppState>,
    caller: Authorized<Read>,
    PathText(id): PathText,
    Query(WaitQuery(wait)): Query<WaitQuery>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let id = path_id(&id, "execution")?;
    if !wait.is_zero() {
        wait_for_end(&state, caller.workspace_id, id, wait).await?;
    }
    if headers.contains_key(axum::http::header::IF_NONE_MATCH) {
        let progress = db::executions::progress(&state.pool, caller.workspace_id, id).await?;
        let tag = etag(progress.ok_or_else(|| ApiError::not_found("execution"))?);
        if tag.is_known(&headers) {
            return Ok((StatusCode::NOT_MODIFIED, [tag.header()]).into_response());
        }
    }
    let execution = db::executions::get(&state.pool, caller.workspace_id, id).await?;
    let execution = execution.ok_or_else(|| ApiError::not_found("execution"))?;
    Ok(([etag(execution.progress()?).header()], Json(execution)).into_response())
}

/// Waits until the execution has ended, the time is up or the api stops.
pub(crate) async fn wait_for_end(
    state: &AppState,
    workspace_id: Uuid,
    id: Uuid,
    wait: Duration,
) -> Result<(), ApiError> {
    let mut watch = state.live.watch(id);
    let progress = db::executions::progress(&state.pool, workspace_id, id).await?;
    if progress.ok_or_else(|| ApiError::not_found("execution"))?.status.is_terminal() {
        return Ok(());
    }
    let _client = LiveClient::new("wait");
    tokio::select! {
        () = watch.terminal() => {}
        () = tokio::time::sleep(wait) => {}
        () = state.stopping.cancelled() => {}
    }
    Ok(())
}

/// Returns the tag of a response. All of its contents follow from the status, the attempt and the number of the last
/// line.
fn etag(progress: Progress) -> Etag {
    let Progress { status, attempt, last_seq } = progress;
    Etag::of_text(&format!("{status}-{attempt}-{last_seq}"))
}

/// Number of the line after which lines are listed.
pub(crate) struct LogQuery(i32);

impl ReadQuery for LogQuery {
    fn read(parameters: &mut Parameters) -> Option<Self> {
        let after = parameters.number("after", 0, i32::MAX.into()).unwrap_or(0);
        Some(Self(i32::try_from(after).unwrap_or(i32::MAX)))
    }
}

/// Log lines of an execution.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Logs {
    results: Vec<Log>,
    /// Status when the lines were read. No lines follow a terminal status.
    #[schema(schema_with = crate::model::schemas::status)]
    status: &'static str,
}

/// Read the log of an execution
#[utoipa::path(get, path = "/executions/{id}/logs/", tag = "Executions", params(
    ("id" = Uuid, Path),
    ("after" = Option<i32>, Query, description = "Only lines with a `seq` above this", minimum = 0),
), responses((status = 200, body = Logs), NotFound, ErrorResponses))]
pub(crate) async fn logs(
    State(state): State<AppState>,
    caller: Authorized<Read>,
    PathText(id): PathText,
    Query(LogQuery(after)): Query<LogQuery>,
) -> Result<Json<Logs>, ApiError> {
    let id = path_id(&id, "execution")?;
    let progress = db::executions::progress(&state.pool, caller.workspace_id, id).await?;
    let status = progress.ok_or_else(|| ApiError::not_found("execution"))?.status.as_str();
    let results = db::executions::logs_after(&state.pool, id, after).await?;
    Ok(Json(Logs { results, status }))
}
