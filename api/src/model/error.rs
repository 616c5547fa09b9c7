//! Errors that end a request. No HTTP here: `http::error` turns them into answers.
//!
//! Invariant: a detail is one sentence for people. No text of a database or a library is part of it.

use builder::Diagnostic;
use serde_json::{Map, Value};
use std::borrow::Cow;

pub(crate) use shared::http::fields::{FieldErrors, NON_FIELD};

/// Seconds after which a client may try again while the database or the broker is unavailable.
const RETRY_AFTER_OUTAGE_S: u64 = 2;

/// A kind of error. `http::error` gives each its status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    Unauthorized,
    Forbidden,
    NotFound,
    MethodNotAllowed,
    BodyTimeout,
    Conflict,
    PreconditionFailed,
    PayloadTooLarge,
    UnsupportedMediaType,
    UnsupportedContentEncoding,
    TooManyRequests,
    Internal,
    Unavailable,
    StillRunning,
}

/// An error that belongs to no field: kind, code and detail, as in RFC 9457.
#[derive(Clone, Debug)]
pub struct ProblemDetails {
    pub kind: ErrorKind,
    /// Stable text for programs.
    pub code: &'static str,
    /// A sentence for people.
    pub detail: Cow<'static, str>,
    /// Seconds for `Retry-After`.
    pub retry_after_s: Option<u64>,
    /// Further members of the answer.
    pub members: Map<String, Value>,
}

/// The error that ends a request.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    #[error(transparent)]
    Invalid(#[from] FieldErrors),
    /// Code that does not build: at least one of the diagnostics is an error.
    #[error("the code does not build")]
    Code(Vec<Diagnostic>),
    #[error("{}", .0.detail)]
    Problem(Box<ProblemDetails>),
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    /// A defect of the api, with a description for the log.
    #[error("{0}")]
    Internal(Cow<'static, str>),
}

impl ApiError {
    /// Returns an error with a kind, a code and a detail.
    pub fn problem(kind: ErrorKind, code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        let detail = detail.into();
        Self::Problem(Box::new(ProblemDetails {
            kind,
            code,
            detail,
            retry_after_s: None,
            members: Map::new(),
        }))
    }

    /// Returns the error for rows that do not exist, and equally for rows of other workspaces.
    pub fn not_found(what: &'static str) -> Self {
        Self::problem(ErrorKind::NotFound, "not_found", format!("No {what} with this id."))
    }

    pub fn forbidden(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::problem(ErrorKind::Forbidden, code, detail)
    }

    /// Returns the error for changes of system rows, which are read-only for every workspace.
    pub fn system_row() -> Self {
        Self::forbidden("system_read_only", "System scripts and functions are read-only.")
    }

    pub fn unauthorized(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::problem(ErrorKind::Unauthorized, code, detail)
    }

    pub fn conflict(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::problem(ErrorKind::Conflict, code, detail)
    }

    /// Returns the error for a change of a row that another request changed first.
    pub fn stale() -> Self {
        Self::problem(
            ErrorKind::PreconditionFailed,
            "precondition_failed",
            "The row has changed since it was read; read it again.",
        )
    }

    pub fn too_many_requests(code: &'static str, detail: impl Into<Cow<'static, str>>, after_s: u64) -> Self {
        Self::problem(ErrorKind::TooManyRequests, code, detail).retry_after(after_s)
    }

    pub fn unavailable(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::problem(ErrorKind::Unavailable, "unavailable", detail).retry_after(RETRY_AFTER_OUTAGE_S)
    }

    /// Returns the error for requests while the database is unavailable or overloaded.
    pub fn database_away() -> Self {
        Self::unavailable("The database is not available; try again shortly.")
    }

    /// Returns the error for a request whose statement exceeded its time limit.
    pub fn query_timeout() -> Self {
        let detail = "The query took longer than a request may; ask for less, or try again shortly.";
        Self::problem(ErrorKind::Unavailable, "query_timeout", detail).retry_after(RETRY_AFTER_OUTAGE_S)
    }

    /// Returns an error with one message for one field.
    pub fn field(field: &str, message: impl Into<String>) -> Self {
        Self::Invalid(FieldErrors::one(field, message))
    }

    /// Adds a member to the problem details; other errors stay as they are.
    #[must_use]
    pub fn with(mut self, member: &str, value: impl Into<Value>) -> Self {
        if let Self::Problem(problem) = &mut self {
            problem.members.insert(member.to_owned(), value.into());
        }
        self
    }

    #[must_use]
    fn retry_after(mut self, seconds: u64) -> Self {
        if let Self::Problem(problem) = &mut self {
            problem.retry_after_s = Some(seconds);
        }
        self
    }

    /// Returns the database constraint that was violated, if one was.
    pub fn constraint(&self) -> Option<&str> {
        match self {
            Self::Database(sqlx::Error::Database(error)) => error.constraint(),
            _ => None,
        }
    }
}
