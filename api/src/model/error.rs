//! Reasons for which a request is not done. No HTTP here: `http::error` turns them into answers.
//!
//! Invariant: a detail is one sentence for people. No text of a database or a library is part of it.

use builder::Diagnostic;
use serde_json::{Map, Value};
use std::borrow::Cow;

pub use shared::http::fields::{FieldErrors, NON_FIELD};

/// Seconds after which a client may try again when the database or the broker is away.
const RETRY_AFTER_OUTAGE_S: u64 = 2;

/// A kind of problem. `http::error` gives each its status.
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
    TooManyRequests,
    Internal,
    Unavailable,
    StillRunning,
}

/// A refusal that belongs to no field.
#[derive(Clone, Debug)]
pub struct ProblemDetails {
    pub kind: ErrorKind,
    /// Stable text for programs.
    pub code: &'static str,
    /// One sentence for people.
    pub detail: Cow<'static, str>,
    /// Seconds for `Retry-After`.
    pub retry_after_s: Option<u64>,
    /// Further members of the answer.
    pub members: Map<String, Value>,
}

/// A request that is not done, and why.
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
    /// A defect of ours, with what is known about it for the log.
    #[error("{0}")]
    Internal(Cow<'static, str>),
}

impl ApiError {
    /// A refusal with a kind, a code and a sentence.
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

    /// Answers rows that are not there, and those of other workspaces alike.
    pub fn not_found(what: &'static str) -> Self {
        Self::problem(ErrorKind::NotFound, "not_found", format!("No {what} with this id."))
    }

    pub fn forbidden(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::problem(ErrorKind::Forbidden, code, detail)
    }

    /// Refuses changes of system rows, which are read-only for every workspace.
    pub fn system_row() -> Self {
        Self::forbidden("system_read_only", "System scripts and functions are read-only.")
    }

    pub fn unauthorized(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::problem(ErrorKind::Unauthorized, code, detail)
    }

    pub fn conflict(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::problem(ErrorKind::Conflict, code, detail)
    }

    /// Refuses a change of a row that another request changed first.
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

    /// Answers while the database is away, or overloaded.
    pub fn database_away() -> Self {
        Self::unavailable("The database is not available; try again shortly.")
    }

    /// Answers when a statement overran its time.
    pub fn query_timeout() -> Self {
        let detail = "The database took longer than a request may; ask for less, or try again shortly.";
        Self::problem(ErrorKind::Unavailable, "query_timeout", detail).retry_after(RETRY_AFTER_OUTAGE_S)
    }

    /// One problem with one field.
    pub fn field(field: &str, message: impl Into<String>) -> Self {
        Self::Invalid(FieldErrors::one(field, message))
    }

    /// Adds a member to a refusal; other errors stay as they are.
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

    /// The constraint of the database that was violated, if one was.
    pub fn constraint(&self) -> Option<&str> {
        match self {
            Self::Database(sqlx::Error::Database(error)) => error.constraint(),
            _ => None,
        }
    }
}
