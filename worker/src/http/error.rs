//! Error responses of the worker's endpoints, in the same form as the api's.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use builder::{Diagnostic, Severity};
use serde_json::json;
use shared::{
    http::{
        body::{ACCEPTED_ENCODING, BodyError},
        fields::FieldErrors,
    },
    signing::SignatureError,
};
use std::borrow::Cow;

/// Reason why a request is refused or failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HttpError {
    /// 400 `{field: [messages]}`.
    #[error("{0}")]
    Invalid(#[from] FieldErrors),
    /// 400 `{field: [messages], diagnostics}`: code that does not build.
    #[error("{field} does not build")]
    Code { field: Cow<'static, str>, diagnostics: Vec<Diagnostic> },
    /// 401 `{code, detail}`.
    #[error(transparent)]
    Unsigned(#[from] SignatureError),
    /// Any other status, `{code, detail}`.
    #[error("{detail}")]
    Refused {
        status: StatusCode,
        code: &'static str,
        detail: Cow<'static, str>,
        /// Value of `Accept-Encoding`, if the encoding of the body is the reason.
        accepted_encoding: Option<&'static str>,
    },
}

/// Time, in seconds, after which a refused client may try again.
const RETRY_AFTER_S: u64 = 1;

impl HttpError {
    pub(super) fn refused(
        status: StatusCode,
        code: &'static str,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::Refused { status, code, detail: detail.into(), accepted_encoding: None }
    }

    /// Returns a 503, after which the client may try again shortly.
    pub(super) fn unavailable(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::refused(StatusCode::SERVICE_UNAVAILABLE, code, detail)
    }

    /// Logs a defect of the worker. Returns a 500 that does not reveal it.
    pub(super) fn internal(reason: impl std::fmt::Display) -> Self {
        tracing::error!(%reason, "a request failed with an internal error");
        let detail = "Internal error. The worker's log has the cause.";
        Self::refused(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", detail)
    }
}

impl From<BodyError> for HttpError {
    fn from(error: BodyError) -> Self {
        let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::BAD_REQUEST);
        let accepted_encoding = (error == BodyError::Encoded).then_some(ACCEPTED_ENCODING);
        Self::Refused { status, code: error.code(), detail: error.to_string().into(), accepted_encoding }
    }
}

impl IntoResponse for HttpError {
    fn into_response(self) -> Response {
        match self {
            Self::Invalid(fields) => (StatusCode::BAD_REQUEST, Json(fields)).into_response(),
            Self::Code { field, diagnostics } => {
                let errors = diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Error);
                let messages: Vec<_> = errors
                    .map(|Diagnostic { line, column, message, .. }| {
                        format!("Line {line}, column {column}: {message}")
                    })
                    .collect();
                let mut body = serde_json::Map::new();
                body.insert("diagnostics".to_owned(), json!(diagnostics));
                body.insert(field.into_owned(), json!(messages));
                (StatusCode::BAD_REQUEST, Json(body)).into_response()
            }
            Self::Unsigned(error) => {
                let body = json!({ "code": error.code(), "detail": sentence(&error) });
                let mut response = (StatusCode::UNAUTHORIZED, Json(body)).into_response();
                let scheme = HeaderValue::from_static("Runner-Signature");
                response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
                response
            }
            Self::Refused { status, code, detail, accepted_encoding } => {
                let mut response = (status, Json(json!({ "code": code, "detail": detail }))).into_response();
                if status == StatusCode::SERVICE_UNAVAILABLE {
                    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER_S));
                }
                if let Some(encoding) = accepted_encoding {
                    let encoding = HeaderValue::from_static(encoding);
                    response.headers_mut().insert(header::ACCEPT_ENCODING, encoding);
                }
                response
            }
        }
    }
}

/// Returns an error's text as a sentence: with a capital letter and a full stop.
fn sentence(error: &SignatureError) -> String {
    let text = error.to_string();
    let mut characters = text.chars();
    let first = characters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(characters).chain(['.']).collect()
}
