//! Scripts and their versions.

use super::{
    Resource,
    auth::{Authorized, Read, Write},
    error::ApiError,
    etag::{Etag, IfMatch},
    extract::{
        json::Payload,
        query::{NoQuery, Page, PageRequest, PageText, Parameters, PathText, Query, ReadQuery, path_id},
    },
    openapi::responses::{Conflict, ErrorResponses, NotFound, PreconditionFailed},
    state::AppState,
};
use crate::{
    app::{Update, scripts},
    db::{self, scripts::ScriptFilter},
    model::{
        etag::ExpectedState,
        script::{SavedScript, Script, ScriptDraft, ScriptPatch, ScriptVersion, TRIGGERS},
    },
};
use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::get,
};

pub(super) fn router() -> Router<AppState> {
    Router::new()
        .resource("/scripts", get(list).post(create))
        .resource("/scripts/{id}", get(read).put(replace).patch(change).delete(delete))
        .resource("/scripts/{id}/versions", get(versions))
}

/// Filters of a list of scripts.
pub(crate) struct ScriptQuery {
    filter: ScriptFilter,
    page: PageRequest,
}

impl ReadQuery for ScriptQuery {
    fn read(parameters: &mut Parameters) -> Option<Self> {
        let triggers = TRIGGERS.map(shared::execution::TriggerType::as_str);
        let filter = ScriptFilter {
            trigger_type: parameters.choice("trigger_type", &triggers),
            is_system: parameters.parsed("is_system", "true or false"),
            category: parameters.text("category"),
            search: parameters.search(),
        };
        Some(Self { filter, page: parameters.page() })
    }
}

/// List scripts
///
/// The workspace's and the system's, newest first. A page ends early, with a cursor, if its code has more than 4 MiB.
#[utoipa::path(get, path = "/scripts/", tag = "Scripts", params(
    ("trigger_type" = Option<String>, Query, description = "Only these: `automation`, `workflow_transition` or `cron`"),
    ("is_system" = Option<bool>, Query, description = "Only the system's, or only the workspace's"),
    ("category" = Option<String>, Query, description = "Only of this category"),
    ("search" = Option<String>, Query, description = "Part of name or description", max_length = 200),
    ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ("per_page" = Option<i64>, Query, description = "50 if left out", minimum = 1, maximum = 100),
), responses((status = 200, body = Page<Script>), ErrorResponses))]
pub(crate) async fn list(
    State(state): State<AppState>,
    caller: Authorized<Read>,
    Query(query): Query<ScriptQuery>,
) -> Result<Response, ApiError> {
    let memory = state.answers.reserve(caller.workspace_id).await?;
    let pool = state.lists.acquire(caller.workspace_id).await?;
    let rows = db::scripts::list(&pool, caller.workspace_id, &query.filter, query.page).await?;
    let page = query.page.page_of(rows, |row| row.id, |row| scripts::show(&state.keyring, row))?;
    Ok(memory.page(page))
}

/// Create a script
///
/// Builds it; `diagnostics` are the warnings. Code that does not build is rejected with the positions of its errors.
#[utoipa::path(post, path = "/scripts/", tag = "Scripts", request_body = ScriptDraft,
    responses((status = 201, body = SavedScript), ErrorResponses))]
pub(crate) async fn create(
    State(state): State<AppState>,
    caller: Authorized<Write>,
    Query(NoQuery): Query<NoQuery>,
    Payload(draft): Payload<ScriptDraft>,
) -> Result<Response, ApiError> {
    let saved = scripts::create(&state.for_scripts(), caller.workspace_id, draft).await?;
    let location = caller.location("scripts", saved.script.id);
    Ok((StatusCode::CREATED, [etag(&saved.script).header()], [location], Json(saved)).into_response())
}

/// Read a script
#[utoipa::path(get, path = "/scripts/{id}/", tag = "Scripts",
    params(("id" = uuid::Uuid, Path), ("If-None-Match" = Option<String>, Header, description = "An `ETag` of an earlier answer")),
    responses((status = 200, body = Script), (status = 304, description = "Unchanged"), NotFound, ErrorResponses))]
pub(crate) async fn read(
    State(state): State<AppState>,
    caller: Authorized<Read>,
    PathText(id): PathText,
    Query(NoQuery): Query<NoQuery>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let id = path_id(&id, "script")?;
    let row = db::scripts::get(&state.pool, caller.workspace_id, id).await?;
    let script = scripts::show(&state.keyring, row.ok_or_else(|| ApiError::not_found("script"))?);
    Ok(etag(&script).answer(&headers, Json(script)))
}

/// Replace a script
///
/// Builds only if the code or the code type changed. A field that is left out takes its default.
#[utoipa::path(put, path = "/scripts/{id}/", tag = "Scripts", request_body = ScriptDraft,
    params(("id" = uuid::Uuid, Path), ("If-Match" = Option<String>, Header, description = "Refuse the change if the script is no longer this one")),
    responses((status = 200, body = SavedScript), NotFound, PreconditionFailed, ErrorResponses))]
pub(crate) async fn replace(
    State(state): State<AppState>,
    caller: Authorized<Write>,
    PathText(id): PathText,
    Query(NoQuery): Query<NoQuery>,
    IfMatch(expected): IfMatch,
    Payload(draft): Payload<ScriptDraft>,
) -> Result<Response, ApiError> {
    update(&state, &caller, &id, &expected, Update::Replace(draft)).await
}

/// Change a script
#[utoipa::path(patch, path = "/scripts/{id}/", tag = "Scripts", request_body = ScriptPatch,
    params(("id" = uuid::Uuid, Path), ("If-Match" = Option<String>, Header, description = "Refuse the change if the script is no longer this one")),
    responses((status = 200, body = SavedScript), NotFound, PreconditionFailed, ErrorResponses))]
pub(crate) async fn change(
    State(state): State<AppState>,
    caller: Authorized<Write>,
    PathText(id): PathText,
    Query(NoQuery): Query<NoQuery>,
    IfMatch(expected): IfMatch,
    Payload(patch): Payload<ScriptPatch>,
) -> Result<Response, ApiError> {
    update(&state, &caller, &id, &expected, Update::Patch(patch)).await
}

async fn update(
    state: &AppState,
    caller: &Authorized<Write>,
    id: &str,
    expected: &ExpectedState,
    update: Update<ScriptDraft, ScriptPatch>,
) -> Result<Response, ApiError> {
    let id = path_id(id, "script")?;
    let saved = scripts::update(&state.for_scripts(), caller.workspace_id, id, expected, update).await?;
    Ok(([etag(&saved.script).header()], Json(saved)).into_response())
}

/// Delete a script
///
/// Its executions and versions stay; its schedules stop.
#[utoipa::path(delete, path = "/scripts/{id}/", tag = "Scripts",
    params(("id" = uuid::Uuid, Path), ("If-Match" = Option<String>, Header, description = "Refuse if the script is no longer this one")),
    responses((status = 204, description = "Deleted"), NotFound, PreconditionFailed, Conflict, ErrorResponses))]
pub(crate) async fn delete(
    State(state): State<AppState>,
    caller: Authorized<Write>,
    PathText(id): PathText,
    Query(NoQuery): Query<NoQuery>,
    IfMatch(expected): IfMatch,
) -> Result<StatusCode, ApiError> {
    let id = path_id(&id, "script")?;
    scripts::delete(&state.for_scripts(), caller.workspace_id, id, &expected).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Page of a list of versions, by number.
pub(crate) struct VersionQuery {
    below: Option<i32>,
    per_page: i64,
}

impl ReadQuery for VersionQuery {
    fn read(parameters: &mut Parameters) -> Option<Self> {
        let below = parameters.parsed("cursor", "the next_cursor of an earlier page");
        Some(Self { below, per_page: parameters.per_page() })
    }
}

/// List the versions of a script
///
/// Immutable builds, newest first. A change of the code, or of a function that it needs, makes a new version.
#[utoipa::path(get, path = "/scripts/{id}/versions/", tag = "Scripts", params(
    ("id" = uuid::Uuid, Path),
    ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ("per_page" = Option<i64>, Query, description = "50 if left out", minimum = 1, maximum = 100),
), responses((status = 200, body = Page<ScriptVersion>), NotFound, ErrorResponses))]
pub(crate) async fn versions(
    State(state): State<AppState>,
    caller: Authorized<Read>,
    PathText(id): PathText,
    Query(query): Query<VersionQuery>,
) -> Result<Response, ApiError> {
    let id = path_id(&id, "script")?;
    let memory = state.answers.reserve(caller.workspace_id).await?;
    let pool = state.lists.acquire(caller.workspace_id).await?;
    let script = db::scripts::get(&pool, caller.workspace_id, id).await?;
    script.ok_or_else(|| ApiError::not_found("script"))?;
    let rows = db::scripts::versions(&pool, id, query.below, query.per_page).await?;
    let page = PageText::of(query.per_page, rows, |row| row.version.to_string(), |row| row)?;
    Ok(memory.page(page))
}

fn etag(script: &Script) -> Etag {
    Etag::of_row(script.version, script.updated_at)
}
