//! The workspace's environment. Values are written and never read back.

use super::{
    Resource,
    auth::{Authorized, Read, Write},
    error::{ApiError, ErrorKind},
    extract::{
        json::Payload,
        query::{NoQuery, Page, PageRequest, PageText, Parameters, PathText, Query, ReadQuery},
    },
    openapi::responses::{ErrorResponses, NotFound},
    state::AppState,
};
use crate::{
    app::environment::check_bytes,
    db::{self, environment::MAX_VARIABLES},
    model::{
        REDACTED,
        environment::{EnvironmentChange, EnvironmentValue, EnvironmentVariable},
        validation,
    },
};
use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use shared::{
    encryption::AssociatedData,
    masking::{self, UnmaskedReason},
};
use std::collections::BTreeMap;

pub(super) fn router() -> Router<AppState> {
    Router::new()
        .resource("/environment", get(list))
        .resource("/environment/{key}", get(read).put(set).delete(delete))
        .resource("/environment/{key}/changes", get(changes))
}

/// List the environment
///
/// Every variable by key, without values, on one page: there are 200 at most.
#[utoipa::path(get, path = "/environment/", tag = "Environment",
    responses((status = 200, body = Page<EnvironmentVariable>), ErrorResponses))]
pub(crate) async fn list(
    State(state): State<AppState>,
    caller: Authorized<Read>,
    Query(NoQuery): Query<NoQuery>,
) -> Result<Json<Page<EnvironmentVariable>>, ApiError> {
    let pool = state.lists.acquire(caller.workspace_id).await?;
    let results = db::environment::list(&pool, caller.workspace_id).await?;
    Ok(Json(Page { results, next_cursor: None }))
}

/// Read a variable
///
/// The times and the author of its last change; the value is not shown.
#[utoipa::path(get, path = "/environment/{key}/", tag = "Environment", params(("key" = String, Path)),
    responses((status = 200, body = EnvironmentVariable), NotFound, ErrorResponses))]
pub(crate) async fn read(
    State(state): State<AppState>,
    caller: Authorized<Read>,
    PathText(key): PathText,
    Query(NoQuery): Query<NoQuery>,
) -> Result<Json<EnvironmentVariable>, ApiError> {
    find(&state, caller.workspace_id, &key).await.map(Json)
}

async fn find(
    state: &AppState,
    workspace_id: uuid::Uuid,
    key: &str,
) -> Result<EnvironmentVariable, ApiError> {
    validation::env_key(key).map_err(|_| absent())?;
    db::environment::get(&state.pool, workspace_id, key).await?.ok_or_else(absent)
}

fn absent() -> ApiError {
    ApiError::problem(ErrorKind::NotFound, "not_found", "No variable with this key.")
}

/// Set a variable
///
/// Encrypted at rest. Scripts see the new value from their next execution on; `********` keeps the stored one. All
/// values of a workspace together may have 64 KiB.
#[utoipa::path(put, path = "/environment/{key}/", tag = "Environment", request_body = EnvironmentValue,
    params(("key" = String, Path, description = "Letters, digits and `_`, no digit first", max_length = 128, pattern = "^[A-Za-z_][A-Za-z0-9_]*$")),
    responses((status = 200, description = "Changed", body = EnvironmentVariable),
        (status = 201, description = "New", body = EnvironmentVariable), ErrorResponses))]
pub(crate) async fn set(
    State(state): State<AppState>,
    caller: Authorized<Write>,
    PathText(key): PathText,
    Query(NoQuery): Query<NoQuery>,
    Payload(EnvironmentValue { value }): Payload<EnvironmentValue>,
) -> Result<Response, ApiError> {
    validation::env_key(&key).map_err(|rule| ApiError::field("key", format!("{key:?} {rule}")))?;
    if value == REDACTED {
        let kept = find(&state, caller.workspace_id, &key).await.map_err(|_| {
            ApiError::field("value", format!("{REDACTED} keeps a stored value, and there is none."))
        })?;
        return Ok(Json(kept).into_response());
    }
    let sealed =
        state.keyring.seal(value.as_bytes(), &AssociatedData::environment(caller.workspace_id, &key));
    let pool = state.saves.acquire(caller.workspace_id).await?;
    let mut transaction = pool.begin().await?;
    let mut sizes = db::environment::lock_sizes(&mut transaction, caller.workspace_id).await?;
    check_size(&mut sizes, &key, value.len())?;
    let actor = caller.actor.as_deref();
    let is_new = db::environment::set(&mut transaction, caller.workspace_id, &key, &sealed, actor).await?;
    transaction.commit().await?;
    let mut variable = find(&state, caller.workspace_id, &key).await?;
    variable.warning = masking::check(&value).err().map(|reason| warning(reason).to_owned());
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(variable)).into_response())
}

/// Rejects a value that exceeds the workspace's limits. `sizes` are the bytes of its values.
fn check_size(sizes: &mut BTreeMap<String, usize>, key: &str, bytes: usize) -> Result<(), ApiError> {
    let before = sizes.values().sum();
    sizes.insert(key.to_owned(), bytes);
    if sizes.len() > MAX_VARIABLES {
        return Err(ApiError::field("key", format!("A workspace may have {MAX_VARIABLES} variables.")));
    }
    check_bytes("value", sizes.values().sum(), before)
}

const fn warning(reason: UnmaskedReason) -> &'static str {
    match reason {
        UnmaskedReason::Short => "The value is too short to be taken out of logs and results.",
        UnmaskedReason::PlainWord => "The value is a plain word, and is not taken out of logs and results.",
    }
}

/// Delete a variable
#[utoipa::path(delete, path = "/environment/{key}/", tag = "Environment", params(("key" = String, Path)),
    responses((status = 204, description = "Deleted"), NotFound, ErrorResponses))]
pub(crate) async fn delete(
    State(state): State<AppState>,
    caller: Authorized<Write>,
    PathText(key): PathText,
    Query(NoQuery): Query<NoQuery>,
) -> Result<StatusCode, ApiError> {
    find(&state, caller.workspace_id, &key).await?;
    let pool = state.saves.acquire(caller.workspace_id).await?;
    let mut transaction = pool.begin().await?;
    let actor = caller.actor.as_deref();
    db::environment::delete(&mut transaction, caller.workspace_id, &key, actor).await?;
    transaction.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) struct ChangeQuery(PageRequest);

impl ReadQuery for ChangeQuery {
    fn read(parameters: &mut Parameters) -> Option<Self> {
        Some(Self(parameters.page()))
    }
}

/// List the changes of a variable
///
/// The author of each change, newest first, also for a deleted key; never a value. 404 for a key that never existed.
#[utoipa::path(get, path = "/environment/{key}/changes/", tag = "Environment", params(
    ("key" = String, Path),
    ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ("per_page" = Option<i64>, Query, description = "50 if left out", minimum = 1, maximum = 100),
), responses((status = 200, body = Page<EnvironmentChange>), NotFound, ErrorResponses))]
pub(crate) async fn changes(
    State(state): State<AppState>,
    caller: Authorized<Read>,
    PathText(key): PathText,
    Query(ChangeQuery(page)): Query<ChangeQuery>,
) -> Result<PageText, ApiError> {
    validation::env_key(&key).map_err(|_| absent())?;
    let pool = state.lists.acquire(caller.workspace_id).await?;
    let rows = db::environment::changes(&pool, caller.workspace_id, &key, page).await?;
    if rows.is_empty() && page.before.is_none() {
        return Err(absent());
    }
    page.page(rows, |(id, _)| *id, |(_, change)| change)
}
