//! The HTTP API: one router for both prefixes, each with its own authentication.

pub(crate) mod answer_memory;
mod api_keys;
pub(crate) mod auth;
mod dead_letters;
mod environment;
pub(crate) mod error;
pub(crate) mod etag;
pub(crate) mod executions;
pub(crate) mod extract;
mod functions;
mod health;
mod openapi;
mod plane_token;
mod prefix;
mod schedules;
mod scripts;
pub(crate) mod state;
mod types;

use axum::{
    Router,
    extract::Request,
    http::{HeaderName, HeaderValue, Method, Version, header},
    middleware::{self, Next},
    response::Response,
    routing::{MethodRouter, get},
};
use error::ApiError;
use executions::test_run;
use extract::query;
use metrics_exporter_prometheus::PrometheusHandle;
pub use openapi::document;
pub use prefix::{EXTERNAL, INTERNAL};
use shared::http::{host, metrics};
use state::AppState;
use tower_http::{
    catch_panic::CatchPanicLayer,
    compression::CompressionLayer,
    cors::{AllowOrigin, CorsLayer},
};

/// Returns the router of everything that the api serves.
pub fn router(state: &AppState, metrics: Option<PrometheusHandle>) -> Router {
    let signed = middleware::from_fn_with_state(state.clone(), auth::signature::require);
    let keyed = middleware::from_fn_with_state(state.clone(), auth::api_key::require);
    let routes = Router::new()
        .nest(INTERNAL, resources().layer(signed).merge(health::router()))
        .nest(EXTERNAL, resources().layer(keyed).merge(health::router()))
        .merge(health::probes())
        .fallback(async || query::not_found())
        .method_not_allowed_fallback(query::method_not_allowed)
        .with_state(state.clone());
    let routes = routes.merge(openapi::router());
    let routes = match metrics {
        Some(handle) => routes.route("/metrics", get(move || std::future::ready(handle.render()))),
        None => routes,
    };
    routes
        .layer(middleware::from_fn(require_host))
        .layer(middleware::from_fn(metrics::record))
        .layer(CatchPanicLayer::custom(error::panicked))
        .layer(CompressionLayer::new())
        .layer(middleware::from_fn(etag::negotiate))
        .layer(tower::util::option_layer(cors(&state.http.cors_allowed_origins)))
        .layer(middleware::from_fn(assign_request_id))
}

/// Returns the routes of the resources, relative to either prefix.
fn resources() -> Router<AppState> {
    Router::new()
        .merge(scripts::router())
        .merge(functions::router())
        .merge(executions::router())
        .merge(api_keys::router())
        .merge(environment::router())
        .merge(test_run::router())
        .merge(schedules::router())
        .merge(types::router())
        .merge(plane_token::router())
        .merge(dead_letters::router())
}

/// Serves paths with and without a trailing slash: a redirect would lose the signature of the request.
trait Resource {
    #[must_use]
    fn resource(self, path: &str, methods: MethodRouter<AppState>) -> Self;
}

impl Resource for Router<AppState> {
    fn resource(self, path: &str, methods: MethodRouter<AppState>) -> Self {
        self.route(&format!("{path}/"), methods.clone()).route(path, methods)
    }
}

static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Limits the characters of a client's request id.
const MAX_REQUEST_ID: usize = 100;

/// Gives every request an id, and its answer the same one: the client's, if it is short and visible ASCII, else a new
/// one.
async fn assign_request_id(request: Request, next: Next) -> Response {
    let is_plain = |value: &&HeaderValue| {
        (1..=MAX_REQUEST_ID).contains(&value.len()) && value.as_bytes().iter().all(u8::is_ascii_graphic)
    };
    let given = request.headers().get(&REQUEST_ID).filter(is_plain).cloned();
    let id = given.unwrap_or_else(|| {
        HeaderValue::from_str(&uuid::Uuid::now_v7().to_string()).expect("a UUID is visible ASCII")
    });
    let span = tracing::info_span!("request", id = id.to_str().unwrap_or_default());
    let mut response = tracing::Instrument::instrument(next.run(request), span).await;
    response.headers_mut().insert(REQUEST_ID.clone(), id);
    response
}

/// Rejects a request over HTTP/1.1 that does not name one host.
async fn require_host(request: Request, next: Next) -> Result<Response, ApiError> {
    let hosts = request.headers().get_all(header::HOST).iter().count();
    host::require_one(hosts, request.version() == Version::HTTP_11)?;
    Ok(next.run(request).await)
}

/// Returns the layer that lets the listed origins call from a browser; `None` if no origin is listed.
fn cors(origins: &[String]) -> Option<CorsLayer> {
    let origins: Vec<HeaderValue> =
        origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok()).collect();
    if origins.is_empty() {
        return None;
    }
    let listed =
        ["x-api-key", "idempotency-key", "last-event-id", "content-type", "if-match", "if-none-match"]
            .map(HeaderName::from_static);
    let layer = CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins))
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allow_headers(listed)
        .expose_headers([header::ETAG, header::RETRY_AFTER, header::LOCATION, REQUEST_ID.clone()]);
    Some(layer)
}
