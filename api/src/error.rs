//! What a request is answered with when it can't be done.
//!
//! Invariant: every 4xx and 5xx has one of two shapes. 400 is `{field: [messages]}`, with `diagnostics` when the
//! field is code; everything else is `{code, detail}`. No text of a database or a library reaches a client.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value, json};
use shared::{
    body::BodyError,
    builder::{Diagnostic, Severity},
};

pub use shared::fields::{FieldErrors, NON_FIELD};
use std::borrow::Cow;

/// Seconds after which a client may try again when the database or the broker is away.
const RETRY_AFTER_OUTAGE_S: u64 = 2;

/// A refusal other than 400.
#[derive(Clone, Debug)]
pub struct Refusal {
    pub status: StatusCode,
    /// Stable text for programs.
    pub code: &'static str,
    /// One sentence for people.
    pub detail: Cow<'static, str>,
    /// Seconds for `Retry-After`.
    pub retry_after_s: Option<u64>,
    /// Further members of the answer.
    pub members: Map<String, Value>,
}

/// Why a request is not done.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    #[error(transparent)]
    Invalid(#[from] FieldErrors),
    /// Code that does not build: at least one of the diagnostics is an error.
    #[error("the code does not build")]
    Code(Vec<Diagnostic>),
    #[error("{}", .0.detail)]
    Refused(Box<Refusal>),
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    /// A defect of ours, with what is known about it for the log.
    #[error("{0}")]
    Internal(Cow<'static, str>),
}

impl ApiError {
    /// A refusal with a status, a code and a sentence.
    pub fn refused(status: StatusCode, code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        let detail = detail.into();
        Self::Refused(Box::new(Refusal { status, code, detail, retry_after_s: None, members: Map::new() }))
    }

    /// 404: also what another workspace's rows answer.
    pub fn not_found(what: &'static str) -> Self {
        Self::refused(StatusCode::NOT_FOUND, "not_found", format!("No {what} with this id."))
    }

    pub fn forbidden(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::refused(StatusCode::FORBIDDEN, code, detail)
    }

    /// 403: system rows are read-only for every workspace.
    pub fn system_row() -> Self {
        Self::forbidden("system_read_only", "System rows can't be changed or deleted.")
    }

    pub fn unauthorized(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::refused(StatusCode::UNAUTHORIZED, code, detail)
    }

    pub fn conflict(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::refused(StatusCode::CONFLICT, code, detail)
    }

    /// 412: somebody else changed the row first.
    pub fn stale() -> Self {
        Self::refused(
            StatusCode::PRECONDITION_FAILED,
            "precondition_failed",
            "The row has changed since it was read; read it again.",
        )
    }

    pub fn too_many_requests(code: &'static str, detail: impl Into<Cow<'static, str>>, after_s: u64) -> Self {
        Self::refused(StatusCode::TOO_MANY_REQUESTS, code, detail).retry_after(after_s)
    }

    pub fn unavailable(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::refused(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail)
            .retry_after(RETRY_AFTER_OUTAGE_S)
    }

    /// One problem with one field.
    pub fn field(field: &str, message: impl Into<String>) -> Self {
        Self::Invalid(FieldErrors::one(field, message))
    }

    /// Adds a member to a refusal; other errors stay as they are.
    #[must_use]
    pub fn with(mut self, member: &str, value: impl Into<Value>) -> Self {
        if let Self::Refused(refusal) = &mut self {
            refusal.members.insert(member.to_owned(), value.into());
        }
        self
    }

    #[must_use]
    fn retry_after(mut self, seconds: u64) -> Self {
        if let Self::Refused(refusal) = &mut self {
            refusal.retry_after_s = Some(seconds);
        }
        self
    }

    /// The constraint of the database that was violated, if one was.
    pub fn constraint(&self) -> Option<&str> {
        match self {
            Self::Database(sqlx::Error::Database(error)) => error.constraint(),
            _ => None,
        }
    }
}

impl From<BodyError> for ApiError {
    fn from(error: BodyError) -> Self {
        match StatusCode::from_u16(error.status()) {
            // A body that broke off belongs to no field.
            Ok(StatusCode::BAD_REQUEST) | Err(_) => Self::field(NON_FIELD, error.to_string()),
            Ok(status) => Self::refused(status, error.code(), error.to_string()),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        match self {
            Self::Invalid(errors) => (StatusCode::BAD_REQUEST, Json(errors)).into_response(),
            Self::Code(diagnostics) => code_refused(&diagnostics),
            Self::Refused(refusal) => refusal.into_response(),
            Self::Database(error) => database_error(&error).into_response(),
            Self::Internal(reason) => {
                tracing::error!(%reason, "internal error");
                internal().into_response()
            }
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut body = self.members;
        body.insert("code".into(), self.code.into());
        body.insert("detail".into(), self.detail.into());
        let mut response = (self.status, Json(body)).into_response();
        if let Some(seconds) = self.retry_after_s {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("ApiKey");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
        }
        response
    }
}

fn code_refused(diagnostics: &[Diagnostic]) -> Response {
    let messages: Vec<String> = diagnostics
        .iter()
        .filter(|diagnostic| diagnostic.severity == Severity::Error)
        .map(|diagnostic| {
            format!("Line {}, column {}: {}", diagnostic.line, diagnostic.column, diagnostic.message)
        })
        .collect();
    (StatusCode::BAD_REQUEST, Json(json!({ "code": messages, "diagnostics": diagnostics }))).into_response()
}

/// A caught panic is answered like any other defect.
pub fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    internal().into_response()
}

fn internal() -> Refusal {
    Refusal {
        status: StatusCode::INTERNAL_SERVER_ERROR,
        code: "internal_error",
        detail: "Something failed on our side; the request id finds it in the log.".into(),
        retry_after_s: None,
        members: Map::new(),
    }
}

fn database_error(error: &sqlx::Error) -> ApiError {
    if is_outage(error) {
        tracing::warn!(%error, "database unavailable");
        return ApiError::unavailable("The database is not available; try again shortly.");
    }
    if let sqlx::Error::Database(refused) = error
        && refused.code().is_some_and(|code| NUL_REFUSED.contains(&&*code))
    {
        return ApiError::field(NON_FIELD, "Text must not hold the NUL character.");
    }
    tracing::error!(%error, "query failed");
    ApiError::Refused(Box::new(internal()))
}

// `text` and `jsonb` can hold every character but NUL: character_not_in_repertoire, untranslatable_character.
const NUL_REFUSED: [&str; 2] = ["22021", "22P05"];

/// Whether the database is away or overloaded, as opposed to a query that is wrong.
pub fn is_outage(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        // What answers does not speak PostgreSQL, or not to the end: a proxy that lost its server.
        | sqlx::Error::Protocol(_) => true,
        // Classes: 08 connection, 53 out of resources, 57 operator intervention (shutdown, statement timeout).
        sqlx::Error::Database(error) => {
            error.code().is_some_and(|code| ["08", "53", "57"].iter().any(|class| code.starts_with(class)))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_pool_is_an_outage_and_a_wrong_query_is_not() {
        assert!(is_outage(&sqlx::Error::PoolTimedOut));
        assert!(is_outage(&sqlx::Error::Protocol("unexpected response from SSLRequest: 0x00".into())));
        assert!(!is_outage(&sqlx::Error::RowNotFound));
        assert_eq!(
            ApiError::from(sqlx::Error::PoolTimedOut).into_response().headers()[header::RETRY_AFTER],
            "2"
        );
    }
}
