//! Entity tags in headers: `ETag`, `If-None-Match` and `If-Match`.

use super::error::ApiError;
use crate::model::etag::ExpectedState;
use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request::Parts},
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

fn lists<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h str> {
    headers.get_all(name).iter().filter_map(|value| value.to_str().ok())
}
