//! Dead letters: listed, published again, dropped.

use super::{
    Resource,
    auth::{Authorized, Caller, Read, Write},
    error::ApiError,
    extract::{
        json::Payload,
        query::{NoQuery, Page, Parameters, PathText, Query, ReadQuery},
    },
    openapi::responses::{ErrorResponses, NotFound},
    state::AppState,
};
use crate::{
    app::dead_letters::of_workspace,
    model::dead_letter::{DeadLetter, RequeueRequest, Requeued},
};
use axum::{Json, Router, extract::State, http::StatusCode, routing::get};
use std::collections::BTreeSet;

pub(super) fn router() -> Router<AppState> {
    Router::new()
        .resource("/dead-letters", get(list).post(requeue))
        .resource("/dead-letters/{id}", get(read).delete(drop_letter))
}

pub(crate) struct LetterQuery {
    per_page: usize,
}

impl ReadQuery for LetterQuery {
    fn read(parameters: &mut Parameters) -> Option<Self> {
        Some(Self { per_page: usize::try_from(parameters.per_page()).unwrap_or(usize::MAX) })
    }
}

/// List dead letters
///
/// The workspace's letters among the first 1,000 in the queue, oldest first. Further ones are listed once some of these
/// are requeued or dropped.
#[utoipa::path(get, path = "/dead-letters/", tag = "Dead letters", params(
    ("per_page" = Option<i64>, Query, description = "50 if left out", minimum = 1, maximum = 100),
), responses((status = 200, body = Page<DeadLetter>), ErrorResponses))]
pub(crate) async fn list(
    State(state): State<AppState>,
    caller: Authorized<Read>,
    Query(LetterQuery { per_page }): Query<LetterQuery>,
) -> Result<Json<Page<DeadLetter>>, ApiError> {
    let letters = letters_of(&state, &caller).await?;
    let results = letters.into_iter().take(per_page).collect();
    Ok(Json(Page { results, next_cursor: None }))
}

async fn letters_of(state: &AppState, caller: &Caller) -> Result<Vec<DeadLetter>, ApiError> {
    let pool = state.lists.acquire(caller.workspace_id).await?;
    let letters =
        of_workspace(&state.dead_letters, &pool, caller.workspace_id, &caller.workspace_slug).await?;
    Ok(letters.into_iter().map(DeadLetter::from).collect())
}

fn absent() -> ApiError {
    ApiError::not_found("dead letter")
}

/// Read a dead letter
#[utoipa::path(get, path = "/dead-letters/{id}/", tag = "Dead letters", params(("id" = String, Path)),
    responses((status = 200, body = DeadLetter), NotFound, ErrorResponses))]
pub(crate) async fn read(
    State(state): State<AppState>,
    caller: Authorized<Read>,
    PathText(id): PathText,
    Query(NoQuery): Query<NoQuery>,
) -> Result<Json<DeadLetter>, ApiError> {
    let letters = letters_of(&state, &caller).await?;
    letters.into_iter().find(|letter| letter.id == id).map(Json).ok_or_else(absent)
}

/// Requeue dead letters
///
/// Publishes them again to the exchange that they came from. Ids without a letter of the workspace are ignored.
#[utoipa::path(post, path = "/dead-letters/", tag = "Dead letters", request_body = RequeueRequest,
    responses((status = 200, body = Requeued), ErrorResponses))]
pub(crate) async fn requeue(
    State(state): State<AppState>,
    caller: Authorized<Write>,
    Query(NoQuery): Query<NoQuery>,
    Payload(RequeueRequest { ids }): Payload<RequeueRequest>,
) -> Result<Json<Requeued>, ApiError> {
    let own: BTreeSet<String> =
        letters_of(&state, &caller).await?.into_iter().map(|letter| letter.id).collect();
    let ids = ids.intersection(&own).cloned().collect();
    let requeued = state.dead_letters.requeue(&ids).await?;
    Ok(Json(Requeued { requeued }))
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
    let letters = letters_of(&state, &caller).await?;
    letters.iter().find(|letter| letter.id == id).ok_or_else(absent)?;
    state.dead_letters.drop(&BTreeSet::from([id])).await?;
    Ok(StatusCode::NO_CONTENT)
}
