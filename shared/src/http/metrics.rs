//! Metrics of the requests that a server answers.

use crate::telemetry::metrics::{HTTP_REQUEST_DURATION, HTTP_REQUESTS};
use axum::{
    extract::{MatchedPath, Request},
    http::Method,
    middleware::Next,
    response::Response,
};
use std::time::Instant;

/// Counts and times requests by route pattern. Paths are no labels, since clients choose them.
pub async fn record(request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = method_label(request.method());
    let route = request.extensions().get::<MatchedPath>().map_or("unmatched", MatchedPath::as_str);
    let route = route.trim_end_matches('/').to_owned();
    let response = next.run(request).await;
    let status = response.status().as_str().to_owned();
    HTTP_REQUESTS.with([method.to_owned(), route.clone(), status]).increment(1);
    HTTP_REQUEST_DURATION.with([method.to_owned(), route]).record(started.elapsed());
    response
}

/// Returns the metric label of a method. A client can invent methods, so unknown ones share a label.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}
