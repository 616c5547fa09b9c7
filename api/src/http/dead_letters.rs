//! Dead letters: listed, published again, dropped.

use super::{
    Resource,
    auth::{Authorized, Read, Write, WriteAndExecute},
    error::ApiError,
    extract::{
        json::{OptionalPayload, Payload},
        query::{NoQuery, Page, PageRequest, PageText, Parameters, PathText, Query, ReadQuery, path_id},
    },
    openapi::responses::{Conflict, ErrorResponses, NotFound},
    state::AppState,
};
use crate::{
    db::{self, dead_letters::LetterFilter},
    model::dead_letter::{EditRequest, RequeueRequest, Requeued, ShownLetter},
};
use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    routing::{get, post},
};
use uuid::Uuid;

pub(super) fn router() -> Router<AppState> {
    Router::new()
        .resource("/dead-letters", get(list).post(requeue))
        .resource("/dead-letters/{id}", get(read).delete(drop_letter))
        .resource("/dead-letters/{id}/requeue", post(requeue_edited))
}

pub(crate) struct LetterQuery {
    filter: LetterFilter,
    page: PageRequest,
}

impl ReadQuery for LetterQuery {
    fn read(parameters: &mut Parameters) -> Option<Self> {
        let text = parameters.peek("search").map(str::to_owned);
        let filter = LetterFilter { pattern: parameters.search(), text };
        Some(Self { filter, page: parameters.page() })
    }
}

/// List dead letters
///
/// Newest first. A letter is listed a moment after its message was rejected, and until it is requeued, dropped, or
/// older than the retention of executions.
#[utoipa::path(get, path = "/dead-letters/", tag = "Dead letters", params(
    ("search" = Option<String>, Query, description = "Only those whose reason, routing key or body holds this", max_length = 200),
    ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ("per_page" = Option<i64>, Query, description = "50 if left out", minimum = 1, maximum = 100),
), responses((status = 200, body = Page<ShownLetter>), ErrorResponses))]
pub(crate) async fn list(
    State(state): State<AppState>,
    caller: Authorized<Read>,
    Query(LetterQuery { filter, page }): Query<LetterQuery>,
) -> Result<PageText, ApiError> {
    let pool = state.lists.acquire(caller.workspace_id).await?;
    let rows = db::dead_letters::list(&pool, Some(&caller.workspace_slug), &filter, page).await?;
    page.page(rows, |letter| letter.id, ShownLetter::from)
}

fn absent() -> ApiError {
    ApiError::not_found("dead letter")
}

/// Read a dead letter
#[utoipa::path(get, path = "/dead-letters/{id}/", tag = "Dead letters", params(("id" = String, Path)),
    responses((status = 200, body = ShownLetter), NotFound, ErrorResponses))]
pub(crate) async fn read(
    State(state): State<AppState>,
    caller: Authorized<Read>,
    PathText(id): PathText,
    Query(NoQuery): Query<NoQuery>,
) -> Result<Json<ShownLetter>, ApiError> {
    let id = path_id(&id, "dead letter")?;
    // Bodies are large, so that few of them are in memory at a time.
    let pool = state.lists.acquire(caller.workspace_id).await?;
    let letter = db::dead_letters::get(&pool, Some(&caller.workspace_slug), id).await?;
    Ok(Json(letter.ok_or_else(absent)?.into()))
}

/// Requeue dead letters
///
/// Publishes them again to the exchange that they came from. Ids without a letter of the workspace are ignored, as are
/// letters that can't be published: those that came from another exchange, and those over 16 MiB.
#[utoipa::path(post, path = "/dead-letters/", tag = "Dead letters", request_body = RequeueRequest,
    responses((status = 200, body = Requeued), ErrorResponses))]
pub(crate) async fn requeue(
    State(state): State<AppState>,
    caller: Authorized<Write>,
    Query(NoQuery): Query<NoQuery>,
    Payload(RequeueRequest { ids }): Payload<RequeueRequest>,
) -> Result<Json<Requeued>, ApiError> {
    let ids = ids.iter().filter_map(|id| id.parse().ok()).collect();
    let requeueing = state.for_requeues().requeue_all(Some(caller.workspace_slug.to_string()), ids);
    let requeued = state.dispatcher.run_detached(requeueing).await?;
    Ok(Json(Requeued { requeued }))
}

/// Requeue a dead letter with another body
///
/// Publishes the event in `body`, or the stored message without one. Needs `write` and `execute`, since a script runs
/// with what the caller writes. The letter is dropped; if the event is rejected again, it becomes another letter.
#[utoipa::path(post, path = "/dead-letters/{id}/requeue/", tag = "Dead letters", request_body = Option<EditRequest>,
    params(("id" = String, Path)),
    responses((status = 200, body = Requeued), NotFound, Conflict, ErrorResponses))]
pub(crate) async fn requeue_edited(
    State(state): State<AppState>,
    caller: Authorized<WriteAndExecute>,
    PathText(id): PathText,
    Query(NoQuery): Query<NoQuery>,
    OptionalPayload(edit): OptionalPayload<EditRequest>,
) -> Result<Json<Requeued>, ApiError> {
    let id: Uuid = path_id(&id, "dead letter")?;
    let slug = caller.workspace_slug.to_string();
    if !edit.is_of_workspace(&slug) {
        let rule = format!("Must be an event whose workspace_slug is {slug:?}.");
        return Err(ApiError::field("body", rule));
    }
    let requeueing = state.for_requeues().requeue_edited(slug, id, edit.body);
    state.dispatcher.run_detached(requeueing).await?;
    Ok(Json(Requeued { requeued: 1 }))
}

/// Drop a dead letter
#[utoipa::path(delete, path = "/dead-letters/{id}/", tag = "Dead letters", params(("id" = String, Path)),
    responses((status = 204, description = "Dropped"), NotFound, ErrorResponses))]
pub(crate) async fn drop_letter(
    State(state): State<AppState>,
    caller: Authorized<Write>,
    PathText(id): PathText,
    Query(NoQuery): Query<NoQuery>,
) -> Result<StatusCode, ApiError> {
    let id = path_id(&id, "dead letter")?;
    let is_dropped = db::dead_letters::delete(&state.pool, Some(&caller.workspace_slug), id).await?;
    if is_dropped { Ok(StatusCode::NO_CONTENT) } else { Err(absent()) }
}
