//! Functions that scripts call.

use super::{
    Resource,
    auth::{Authorized, Read, Write},
    error::ApiError,
    etag::{Etag, IfMatch},
    extract::{
        json::Payload,
        query::{NoQuery, Page, PageRequest, Parameters, PathText, Query, ReadQuery, path_id},
    },
    openapi::responses::{ErrorResponses, InUseConflict, NotFound, PreconditionFailed},
    state::AppState,
};
use crate::{
    app::{Update, functions},
    db::{self, functions::FunctionFilter},
    model::{
        etag::ExpectedState,
        function::{CATEGORIES, Function, FunctionDraft, FunctionPatch, SavedFunction},
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
        .resource("/functions", get(list).post(create))
        .resource("/functions/{id}", get(read).put(replace).patch(change).delete(delete))
}

/// Filters of a list of functions.
pub(crate) struct FunctionQuery {
    filter: FunctionFilter,
    page: PageRequest,
}

impl ReadQuery for FunctionQuery {
    fn read(parameters: &mut Parameters) -> Option<Self> {
        let filter = FunctionFilter {
            category: parameters.choice("category", &CATEGORIES),
            is_system: parameters.parsed("is_system", "true or false"),
            search: parameters.search(),
        };
        Some(Self { filter, page: parameters.page() })
    }
}

/// List functions
///
/// The workspace's and the system's, newest first. A page ends early, with a cursor, if its code has more than 4 MiB.
#[utoipa::path(get, path = "/functions/", tag = "Functions", params(
    ("category" = Option<String>, Query, description = "Only these: `http`, `notifications`, `data`, `utils` or `custom`"),
    ("is_system" = Option<bool>, Query, description = "Only the system's, or only the workspace's"),
    ("search" = Option<String>, Query, description = "Part of name or description", max_length = 200),
    ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ("per_page" = Option<i64>, Query, description = "50 if left out", minimum = 1, maximum = 100),
), responses((status = 200, body = Page<Function>), ErrorResponses))]
pub(crate) async fn list(
    State(state): State<AppState>,
    caller: Authorized<Read>,
    Query(query): Query<FunctionQuery>,
) -> Result<Response, ApiError> {
    let memory = state.answers.reserve(caller.workspace_id).await?;
    let pool = state.lists.acquire(caller.workspace_id).await?;
    let rows = db::functions::list(&pool, caller.workspace_id, &query.filter, query.page).await?;
    let page = query.page.page_of(rows, |function| function.id, |function| function)?;
    Ok(memory.page(page))
}

/// Create a function
///
/// Builds it. Functions that its code calls must exist. A workspace may have 200 functions.
#[utoipa::path(post, path = "/functions/", tag = "Functions", request_body = FunctionDraft,
    responses((status = 201, body = SavedFunction), ErrorResponses))]
pub(crate) async fn create(
    State(state): State<AppState>,
    caller: Authorized<Write>,
    Query(NoQuery): Query<NoQuery>,
    Payload(draft): Payload<FunctionDraft>,
) -> Result<Response, ApiError> {
    let saved = functions::create(&state.saves, caller.workspace_id, draft).await?;
    let location = caller.location("functions", saved.function.id);
    Ok((StatusCode::CREATED, [etag(&saved.function).header()], [location], Json(saved)).into_response())
}

/// Read a function
#[utoipa::path(get, path = "/functions/{id}/", tag = "Functions",
    params(("id" = uuid::Uuid, Path), ("If-None-Match" = Option<String>, Header, description = "An `ETag` of an earlier answer")),
    responses((status = 200, body = Function), (status = 304, description = "Unchanged"), NotFound, ErrorResponses))]
pub(crate) async fn read(
    State(state): State<AppState>,
    caller: Authorized<Read>,
    PathText(id): PathText,
    Query(NoQuery): Query<NoQuery>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let id = path_id(&id, "function")?;
    let function = db::functions::get(&state.pool, caller.workspace_id, id).await?;
    let function = function.ok_or_else(|| ApiError::not_found("function"))?;
    Ok(etag(&function).answer(&headers, Json(function)))
}

/// Replace a function
///
/// Scripts that need it get a new version with the new build. A name in use can't be changed (409).
#[utoipa::path(put, path = "/functions/{id}/", tag = "Functions", request_body = FunctionDraft,
    params(("id" = uuid::Uuid, Path), ("If-Match" = Option<String>, Header, description = "Refuse the change if the function is no longer this one")),
    responses((status = 200, body = SavedFunction), NotFound, PreconditionFailed, InUseConflict, ErrorResponses))]
pub(crate) async fn replace(
    State(state): State<AppState>,
    caller: Authorized<Write>,
    PathText(id): PathText,
    Query(NoQuery): Query<NoQuery>,
    IfMatch(expected): IfMatch,
    Payload(draft): Payload<FunctionDraft>,
) -> Result<Response, ApiError> {
    update(&state, &caller, &id, &expected, Update::Replace(draft)).await
}

/// Change a function
///
/// Scripts that need it get a new version with the new build. A name in use can't be changed (409).
#[utoipa::path(patch, path = "/functions/{id}/", tag = "Functions", request_body = FunctionPatch,
    params(("id" = uuid::Uuid, Path), ("If-Match" = Option<String>, Header, description = "Refuse the change if the function is no longer this one")),
    responses((status = 200, body = SavedFunction), NotFound, PreconditionFailed, InUseConflict, ErrorResponses))]
pub(crate) async fn change(
    State(state): State<AppState>,
    caller: Authorized<Write>,
    PathText(id): PathText,
    Query(NoQuery): Query<NoQuery>,
    IfMatch(expected): IfMatch,
    Payload(patch): Payload<FunctionPatch>,
) -> Result<Response, ApiError> {
    update(&state, &caller, &id, &expected, Update::Patch(patch)).await
}

async fn update(
    state: &AppState,
    caller: &Authorized<Write>,
    id: &str,
    expected: &ExpectedState,
    update: Update<FunctionDraft, FunctionPatch>,
) -> Result<Response, ApiError> {
    let id = path_id(id, "function")?;
    let saved = functions::update(&state.saves, caller.workspace_id, id, expected, update).await?;
    Ok(([etag(&saved.function).header()], Json(saved)).into_response())
}

/// Parameters of a deletion.
pub(crate) struct DeleteQuery {
    force: bool,
}

impl ReadQuery for DeleteQuery {
    fn read(parameters: &mut Parameters) -> Option<Self> {
        Some(Self { force: parameters.parsed("force", "true or false").unwrap_or(false) })
    }
}

/// Delete a function
///
/// Deleting one that is in use is rejected with the `scripts` and `functions` that need it, unless `force` is true.
/// Those then continue with the builds they have, and can't be saved again until they no longer call it.
#[utoipa::path(delete, path = "/functions/{id}/", tag = "Functions", params(
    ("id" = uuid::Uuid, Path),
    ("force" = Option<bool>, Query, description = "Delete it although it is in use"),
    ("If-Match" = Option<String>, Header, description = "Refuse if the function is no longer this one"),
), responses((status = 204, description = "Deleted"), NotFound, PreconditionFailed, InUseConflict, ErrorResponses))]
pub(crate) async fn delete(
    State(state): State<AppState>,
    caller: Authorized<Write>,
    PathText(id): PathText,
    Query(query): Query<DeleteQuery>,
    IfMatch(expected): IfMatch,
) -> Result<StatusCode, ApiError> {
    let id = path_id(&id, "function")?;
    functions::delete(&state.saves, caller.workspace_id, id, &expected, query.force).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn etag(function: &Function) -> Etag {
    Etag::of_row(function.version, function.updated_at)
}
