//! Entity tags in headers: `ETag`, `If-None-Match` and `If-Match`.

use super::error::ApiError;
use crate::model::etag::ExpectedState;
use axum::{
    extract::{FromRequestParts, Request},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};

pub(crate) use crate::model::etag::Etag;

impl Etag {
    /// Returns the header that carries the tag.
    pub(crate) fn header(&self) -> (HeaderName, HeaderValue) {
        let value =
            HeaderValue::from_str(self.as_str()).expect("tags are made of digits, letters and dashes");
        (header::ETAG, value)
    }

    /// Tells whether the client has this state already (`If-None-Match`).
    pub(crate) fn is_known(&self, headers: &HeaderMap) -> bool {
        lists(headers, &header::IF_NONE_MATCH).any(|list| self.is_in(list))
    }

    /// Answers with `body` and the tag, or with 304 if the client has this state already.
    pub(crate) fn answer(&self, headers: &HeaderMap, body: impl IntoResponse) -> Response {
        if self.is_known(headers) {
            return (StatusCode::NOT_MODIFIED, [self.header()]).into_response();
        }
        ([self.header()], body).into_response()
    }
}

/// The `If-Match` of a request, as the state that a change expects.
#[derive(Debug)]
pub(crate) struct IfMatch(pub ExpectedState);

impl<S: Sync> FromRequestParts<S> for IfMatch {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        if !parts.headers.contains_key(header::IF_MATCH) {
            return Ok(Self(ExpectedState::ANY));
        }
        let lists = lists(&parts.headers, &header::IF_MATCH).map(str::to_owned).collect();
        Ok(Self(ExpectedState::of_lists(lists)))
    }
}

/// Tells apart the plain and the compressed body of one state, which share a tag: makes the tag of a compressed body
/// weak, and answers 304 with the tag that the client has and the header by which the bodies vary (RFC 9110 sections
/// 8.8.1 and 15.4.5).
pub(super) async fn negotiate(request: Request, next: Next) -> Response {
    let known: Vec<String> = lists(request.headers(), &header::IF_NONE_MATCH).map(str::to_owned).collect();
    let mut response = next.run(request).await;
    let is_known_weak = |tag: &str| {
        let mut tags = known.iter().flat_map(|list| list.split(',')).map(str::trim);
        tags.clone().any(|given| given.strip_prefix("W/") == Some(tag)) && !tags.any(|given| given == tag)
    };
    let is_unchanged = response.status() == StatusCode::NOT_MODIFIED;
    let is_compressed = response.headers().contains_key(header::CONTENT_ENCODING);
    let headers = response.headers_mut();
    let tag =
        headers.get(header::ETAG).and_then(|tag| tag.to_str().ok()).filter(|tag| !tag.starts_with("W/"));
    let weak = tag
        .filter(|tag| is_compressed || is_unchanged && is_known_weak(tag))
        .and_then(|tag| HeaderValue::from_str(&format!("W/{tag}")).ok());
    if let Some(weak) = weak {
        headers.insert(header::ETAG, weak);
    }
    if is_unchanged {
        headers.append(header::VARY, HeaderValue::from_static("accept-encoding"));
    }
    response
}

fn lists<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h str> {
    headers.get_all(name).iter().filter_map(|value| value.to_str().ok())
}
