//! Answers to requests that end with an error.
//!
//! Invariant: every 4xx and 5xx has one of two shapes. 400 is `{field: [messages]}`, with `diagnostics` when the
//! field is code; everything else is `{code, detail}`. No text of a database or a library reaches a client.

use crate::{
    db::pool::lacks_partition,
    model::error::{NON_FIELD, ProblemDetails},
};
use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use builder::{Diagnostic, Severity};
use serde_json::{Map, json};
use shared::http::body::{ACCEPTED_ENCODING, BodyError};

pub(crate) use crate::model::error::{ApiError, ErrorKind};

/// Returns the status of an error's answer.
const fn status(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::Unauthorized => StatusCode::UNAUTHORIZED,
        ErrorKind::Forbidden => StatusCode::FORBIDDEN,
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        ErrorKind::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
        ErrorKind::Conflict => StatusCode::CONFLICT,
        ErrorKind::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
        ErrorKind::PayloadTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorKind::UnsupportedMediaType | ErrorKind::UnsupportedContentEncoding => {
            StatusCode::UNSUPPORTED_MEDIA_TYPE
        }
        ErrorKind::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
        ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::StillRunning => StatusCode::GATEWAY_TIMEOUT,
    }
}

impl From<BodyError> for ApiError {
    fn from(error: BodyError) -> Self {
        let kind = match error {
            // An incomplete body belongs to no field.
            BodyError::Incomplete => return Self::field(NON_FIELD, error.to_string()),
            BodyError::TooLarge { .. } => ErrorKind::PayloadTooLarge,
            BodyError::Timeout => ErrorKind::BodyTimeout,
            BodyError::NotJson => ErrorKind::UnsupportedMediaType,
            BodyError::Encoded => ErrorKind::UnsupportedContentEncoding,
            BodyError::OverBudget => return Self::unavailable(error.to_string()),
        };
        Self::problem(kind, error.code(), error.to_string())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        match self {
            Self::Invalid(errors) => (StatusCode::BAD_REQUEST, Json(errors)).into_response(),
            Self::Code(diagnostics) => code_refused(&diagnostics),
            Self::Problem(problem) => problem.into_response(),
            Self::Database(error) => database_error(&error).into_response(),
            Self::Internal(reason) => {
                tracing::error!(%reason, "request failed with an internal error");
                internal().into_response()
            }
        }
    }
}

impl IntoResponse for ProblemDetails {
    fn into_response(self) -> Response {
        let mut body = self.members;
        body.insert("code".into(), self.code.into());
        body.insert("detail".into(), self.detail.into());
        let mut response = (status(self.kind), Json(body)).into_response();
        if let Some(seconds) = self.retry_after_s {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        let header = match self.kind {
            ErrorKind::Unauthorized => Some((header::WWW_AUTHENTICATE, "ApiKey")),
            ErrorKind::UnsupportedContentEncoding => Some((header::ACCEPT_ENCODING, ACCEPTED_ENCODING)),
            _ => None,
        };
        if let Some((name, value)) = header {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
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

/// Answers a caught panic like any other defect.
pub(crate) fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    internal().into_response()
}

fn internal() -> ProblemDetails {
    ProblemDetails {
        kind: ErrorKind::Internal,
        code: "internal_error",
        detail: "Internal error. The log has the cause under this request's id.".into(),
        retry_after_s: None,
        members: Map::new(),
    }
}

fn database_error(error: &sqlx::Error) -> ApiError {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    let has_code = |codes: &[&str]| code.as_ref().is_some_and(|code| codes.contains(&&**code));
    if has_code(&[QUERY_CANCELLED]) {
        tracing::warn!(%error, "database statement exceeded its time limit");
        return ApiError::query_timeout();
    }
    if is_outage(error) {
        tracing::warn!(%error, "database not available");
        return ApiError::database_away();
    }
    if has_code(&NUL_REJECTED) {
        return ApiError::field(NON_FIELD, "Text must not hold the NUL character.");
    }
    tracing::error!(%error, "database query failed");
    ApiError::Problem(Box::new(internal()))
}

/// SQLSTATE `query_canceled`, the result of `statement_timeout`.
const QUERY_CANCELLED: &str = "57014";
/// SQLSTATEs `character_not_in_repertoire` and `untranslatable_character`: `text` and `jsonb` hold every character but
/// NUL.
const NUL_REJECTED: [&str; 2] = ["22021", "22P05"];

/// Tells whether the database is unavailable or overloaded, as opposed to a query that is wrong.
pub(crate) fn is_outage(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        // The answer is not PostgreSQL's protocol, or is cut off: a proxy that lost its server.
        | sqlx::Error::Protocol(_) => true,
        // Classes: 08 connection, 53 out of resources, 57 operator intervention (shutdown, statement timeout).
        sqlx::Error::Database(error) => {
            error.code().is_some_and(|code| ["08", "53", "57"].iter().any(|class| code.starts_with(class)))
                || lacks_partition(&**error)
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
