//! The worker's HTTP endpoints: build, validate, execute-sync, health, readiness, metrics.
//!
//! Invariant: requests that cause work must be signed. Requests that only observe the worker need no signature, and their
//! responses contain no tenant's data.

mod build;
mod error;
mod execute;
mod execute_request;
mod functions;
mod health;
mod nonces;
mod signed;

pub(crate) use error::HttpError;
pub use health::{Connections, Readiness};
pub use nonces::Nonces;
pub use signed::MAX_BODY_BYTES;

use crate::{
    execution::{BusyTime, plane_token::PlaneTokens},
    supervisor::Pool,
};
use axum::{
    Router,
    extract::{Request, State},
    http::{StatusCode, Version, header},
    middleware::{self, Next},
    response::Response,
    routing::{get, post},
};
use metrics_exporter_prometheus::PrometheusHandle;
use packages::Packages;
use shared::{
    http::{BodyBudget, host, metrics},
    limits::Limits,
    signing::SigningKeys,
};
use std::sync::Arc;

/// State that the endpoints share.
pub struct ServerState {
    pub keys: Arc<SigningKeys>,
    pub nonces: Nonces,
    /// Memory of request bodies that are being received.
    pub body_budget: BodyBudget,
    pub pool: Arc<Pool>,
    pub busy_time: Arc<BusyTime>,
    /// Limits of one `execute-sync`.
    pub limits: Limits,
    /// Base URL of Plane's API (`API_BASE_URL`).
    pub api_base_url: String,
    pub plane_tokens: Arc<PlaneTokens>,
    /// npm packages for scripts. `None` if they are off.
    pub packages: Option<Packages>,
    /// Returns the present state of the connections.
    pub connections: Arc<dyn Fn() -> Connections + Send + Sync>,
    /// Returns the reason why there is no connection to the `database` or the `broker`.
    pub connection_error: Arc<dyn Fn(&'static str) -> String + Send + Sync>,
    pub readiness: Readiness,
    pub metrics: PrometheusHandle,
}

/// Returns the router of all endpoints, each with and without a trailing slash.
pub fn router(state: Arc<ServerState>) -> Router {
    let routes = [
        ("/build", post(build::build)),
        ("/validate", post(build::validate)),
        ("/execute-sync", post(execute::execute_sync)),
        ("/health", get(health::health)),
        ("/readyz", get(health::ready)),
        ("/metrics", get(render_metrics)),
    ];
    let router = routes.into_iter().fold(Router::new(), |router, (path, methods)| {
        router.route(&format!("{path}/"), methods.clone()).route(path, methods)
    });
    router
        .fallback(|| async { HttpError::refused(StatusCode::NOT_FOUND, "not_found", "Not found.") })
        .method_not_allowed_fallback(|| async {
            let detail = "Method not allowed. See the Allow header for the methods of this path.";
            HttpError::refused(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
        })
        .layer(middleware::from_fn(require_host))
        .layer(middleware::from_fn(metrics::record))
        .with_state(state)
}

async fn render_metrics(State(state): State<Arc<ServerState>>) -> String {
    state.metrics.render()
}

/// Rejects a request over HTTP/1.1 that does not name one host.
async fn require_host(request: Request, next: Next) -> Result<Response, HttpError> {
    let hosts = request.headers().get_all(header::HOST).iter().count();
    host::require_one(hosts, request.version() == Version::HTTP_11)?;
    Ok(next.run(request).await)
}
