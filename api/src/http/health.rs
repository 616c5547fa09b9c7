//! Health endpoints for the web app, Kubernetes and Prometheus.

use super::{Resource, error::ApiError, state::AppState};
use crate::{
    db::health::Load,
    model::health::{BrokerConnections, Health},
};
use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};

/// Routes `/health/` under both prefixes, without authentication: the answer says nothing about a workspace.
pub(super) fn router() -> Router<AppState> {
    Router::new().resource("/health", get(health))
}

/// Routes the probes at the root.
pub(super) fn probes() -> Router<AppState> {
    Router::new().route("/healthz", get(alive)).route("/readyz", get(ready))
}

/// Read the health of the service
///
/// `is_available` tells whether scripts can be run now.
#[utoipa::path(get, path = "/health/", tag = "Health", security(()), responses(
    (status = 200, description = "Available, or not with `is_available` false", body = Health)))]
pub(crate) async fn health(State(state): State<AppState>) -> Json<Health> {
    let load = state.probe.load().await;
    let of = |count: fn(&Load) -> i64| load.as_ref().map(count);
    Json(Health {
        is_available: of(|load| load.workers).is_some_and(|workers| workers > 0),
        database: if load.is_some() { "up" } else { "down" },
        broker: BrokerConnections {
            publisher: state.publishing.state().as_str(),
            consumer: state.consuming.state().as_str(),
        },
        queue_depth: of(|load| load.queued),
        workers: of(|load| load.workers),
        slots: of(|load| load.slots),
        slots_busy: of(|load| load.busy),
        version: env!("CARGO_PKG_VERSION"),
    })
}

/// Liveness: the process answers. An unavailable database is no reason to restart it.
async fn alive() -> &'static str {
    "ok\n"
}

/// Readiness: requests can be served.
async fn ready(State(state): State<AppState>) -> Response {
    if state.probe.is_ready().await {
        return (StatusCode::OK, "ready\n").into_response();
    }
    ApiError::database_away().into_response()
}
