//! Schedules: cron triggers of scripts.

use super::{
    Resource,
    auth::{Authorized, Read, Write, WriteAndExecute},
    error::ApiError,
    etag::IfMatch,
    extract::{
        json::Payload,
        query::{NoQuery, Page, PageRequest, Parameters, PathText, Query, ReadQuery, path_id},
    },
    openapi::responses::{ErrorResponses, NotFound, PreconditionFailed},
    state::AppState,
};
use crate::{
    app::{
        Update,
        schedules::{self, etag},
    },
    db,
    model::{
        etag::ExpectedState,
        schedule::{Schedule, ScheduleDraft, SchedulePatch},
    },
};
use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use uuid::Uuid;

pub(super) fn router() -> Router<AppState> {
    Router::new()
        .resource("/schedules", get(list).post(create))
        .resource("/schedules/{id}", get(read).put(replace).patch(change).delete(delete))
}

/// Filters of a list of schedules.
pub(crate) struct ScheduleQuery {
    script_id: Option<Uuid>,
    enabled: Option<bool>,
    page: PageRequest,
}

impl ReadQuery for ScheduleQuery {
    fn read(parameters: &mut Parameters) -> Option<Self> {
        let script_id = parameters.parsed("script_id", "a UUID");
        let enabled = parameters.parsed("enabled", "true or false");
        Some(Self { script_id, enabled, page: parameters.page() })
    }
}

/// List schedules
#[utoipa::path(get, path = "/schedules/", tag = "Schedules", params(
    ("script_id" = Option<Uuid>, Query, description = "Only of this script"),
    ("enabled" = Option<bool>, Query, description = "Only those that are, or are not"),
    ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ("per_page" = Option<i64>, Query, description = "50 if left out", minimum = 1, maximum = 100),
), responses((status = 200, body = Page<Schedule>), ErrorResponses))]
pub(crate) async fn list(
    State(state): State<AppState>,
    caller: Authorized<Read>,
    Query(query): Query<ScheduleQuery>,
) -> Result<Response, ApiError> {
    let memory = state.answers.reserve(caller.workspace_id).await?;
    let ScheduleQuery { script_id, enabled, page } = query;
    let pool = state.lists.acquire(caller.workspace_id).await?;
    let rows = db::schedules::list(&pool, caller.workspace_id, script_id, enabled, page).await?;
    let page = page.page_of(rows, |schedule| schedule.id, |schedule| schedule)?;
    Ok(memory.page(page))
}

/// Create a schedule
#[utoipa::path(post, path = "/schedules/", tag = "Schedules", request_body = ScheduleDraft,
    responses((status = 201, body = Schedule), ErrorResponses))]
pub(crate) async fn create(
    State(state): State<AppState>,
    caller: Authorized<WriteAndExecute>,
    Query(NoQuery): Query<NoQuery>,
    Payload(draft): Payload<ScheduleDraft>,
) -> Result<Response, ApiError> {
    let schedule = schedules::create(&state.saves, caller.workspace_id, &draft).await?;
    let location = caller.location("schedules", schedule.id);
    Ok((StatusCode::CREATED, [etag(&schedule).header()], [location], Json(schedule)).into_response())
}

/// Read a schedule
#[utoipa::path(get, path = "/schedules/{id}/", tag = "Schedules", params(("id" = Uuid, Path)),
    responses((status = 200, body = Schedule), NotFound, ErrorResponses))]
pub(crate) async fn read(
    State(state): State<AppState>,
    caller: Authorized<Read>,
    PathText(id): PathText,
    Query(NoQuery): Query<NoQuery>,
) -> Result<Response, ApiError> {
    let id = path_id(&id, "schedule")?;
    let mut connection = state.pool.acquire().await?;
    let schedule = db::schedules::get(&mut connection, caller.workspace_id, id).await?;
    let schedule = schedule.ok_or_else(|| ApiError::not_found("schedule"))?;
    Ok(([etag(&schedule).header()], Json(schedule)).into_response())
}

/// Replace a schedule
#[utoipa::path(put, path = "/schedules/{id}/", tag = "Schedules", request_body = ScheduleDraft,
    params(("id" = Uuid, Path), ("If-Match" = Option<String>, Header, description = "Refuse the change if the schedule is no longer this one")),
    responses((status = 200, body = Schedule), NotFound, PreconditionFailed, ErrorResponses))]
pub(crate) async fn replace(
    State(state): State<AppState>,
    caller: Authorized<WriteAndExecute>,
    PathText(id): PathText,
    Query(NoQuery): Query<NoQuery>,
    IfMatch(expected): IfMatch,
    Payload(draft): Payload<ScheduleDraft>,
) -> Result<Response, ApiError> {
    update(&state, &caller, &id, &expected, Update::Replace(draft)).await
}

/// Change a schedule
#[utoipa::path(patch, path = "/schedules/{id}/", tag = "Schedules", request_body = SchedulePatch,
    params(("id" = Uuid, Path), ("If-Match" = Option<String>, Header, description = "Refuse the change if the schedule is no longer this one")),
    responses((status = 200, body = Schedule), NotFound, PreconditionFailed, ErrorResponses))]
pub(crate) async fn change(
    State(state): State<AppState>,
    caller: Authorized<WriteAndExecute>,
    PathText(id): PathText,
    Query(NoQuery): Query<NoQuery>,
    IfMatch(expected): IfMatch,
    Payload(patch): Payload<SchedulePatch>,
) -> Result<Response, ApiError> {
    update(&state, &caller, &id, &expected, Update::Patch(patch)).await
}

async fn update(
    state: &AppState,
    caller: &Authorized<WriteAndExecute>,
    id: &str,
    expected: &ExpectedState,
    update: Update<ScheduleDraft, SchedulePatch>,
) -> Result<Response, ApiError> {
    let id = path_id(id, "schedule")?;
    let schedule = schedules::update(&state.saves, caller.workspace_id, id, expected, update).await?;
    Ok(([etag(&schedule).header()], Json(schedule)).into_response())
}

/// Delete a schedule
///
/// Its executions stay.
#[utoipa::path(delete, path = "/schedules/{id}/", tag = "Schedules",
    params(("id" = Uuid, Path), ("If-Match" = Option<String>, Header, description = "Refuse if the schedule is no longer this one")),
    responses((status = 204, description = "Deleted"), NotFound, PreconditionFailed, ErrorResponses))]
pub(crate) async fn delete(
    State(state): State<AppState>,
    caller: Authorized<Write>,
    PathText(id): PathText,
    Query(NoQuery): Query<NoQuery>,
    IfMatch(expected): IfMatch,
) -> Result<StatusCode, ApiError> {
    let id = path_id(&id, "schedule")?;
    schedules::delete(&state.saves, caller.workspace_id, id, &expected).await?;
    Ok(StatusCode::NO_CONTENT)
}
