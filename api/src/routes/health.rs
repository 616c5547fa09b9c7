//! Whether the service works: for the web app, for Kubernetes, for Prometheus.

use super::Resource;
use crate::{error::ApiError, resources::health::Health, state::AppState, store};
use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};

/// `/health/` under both prefixes, without authentication: it tells nothing of any workspace.
pub(super) fn router() -> Router<AppState> {
    Router::new().resource("/health", get(health))
}

/// Probes at the root.
pub(super) fn probes() -> Router<AppState> {
    Router::new().route("/healthz", get(alive)).route("/readyz", get(ready))
}

/// Whether scripts can be run now
#[utoipa::path(get, path = "/health/", tag = "Health", security(()), responses(
    (status = 200, description = "Available, or not with `is_available` false", body = Health)))]
pub(crate) async fn health(State(state): State<AppState>) -> Json<Health> {
    let load = store::health::load(&state.pool).await;
    Json(match load {
        Ok(load) => Health {
            is_available: load.workers > 0,
            database: "up",
            queue_depth: Some(load.queued),
            workers: Some(load.workers),
            slots: Some(load.slots),
            slots_busy: Some(load.busy),
            version: env!("CARGO_PKG_VERSION"),
        },
        Err(error) => {
            tracing::warn!(%error, "health: the database does not answer");
            Health {
                is_available: false,
                database: "down",
                queue_depth: None,
                workers: None,
                slots: None,
                slots_busy: None,
                version: env!("CARGO_PKG_VERSION"),
            }
        }
    })
}

/// Liveness: the process answers. A database that is away is no reason to restart it.
async fn alive() -> &'static str {
    "ok\n"
}

/// Readiness: requests can be served.
async fn ready(State(state): State<AppState>) -> Response {
    match store::health::ping(&state.pool).await {
        Ok(()) => (StatusCode::OK, "ready\n").into_response(),
        Err(error) => ApiError::from(error).into_response(),
    }
}
