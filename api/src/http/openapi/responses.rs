//! Answers that several resources give, as the `OpenAPI` document describes them.

use crate::model::{InUse, Invalid, Problem};
use utoipa::IntoResponses;

/// Error answers that any request may get.
#[derive(Debug, IntoResponses)]
#[expect(dead_code, reason = "read by the OpenAPI derive alone")]
pub(crate) enum ErrorResponses {
    /// Fields or parameters break a rule.
    #[response(status = 400)]
    Invalid(Invalid),
    /// No valid API key or signature.
    #[response(status = 401)]
    Unauthorized(Problem),
    /// The scope is missing, or the row is the system's.
    #[response(status = 403)]
    Forbidden(Problem),
    /// The body did not arrive in time.
    #[response(status = 408)]
    Timeout(Problem),
    /// The body is larger than 2 MiB.
    #[response(status = 413)]
    TooLarge(Problem),
    /// The body is not `application/json`, or has a `Content-Encoding`.
    #[response(status = 415)]
    UnsupportedMediaType(Problem),
    /// The workspace's rate limit, queue quota, or share of slow requests or large answers; `Retry-After` says when.
    #[response(status = 429)]
    TooManyRequests(Problem),
    /// A defect of the service.
    #[response(status = 500)]
    Internal(Problem),
    /// The database is unavailable or took too long, or too many large answers are made; `Retry-After` says when to try
    /// again.
    #[response(status = 503)]
    Unavailable(Problem),
}

/// The row does not exist, or is another workspace's.
#[derive(Debug, IntoResponses)]
#[expect(dead_code, reason = "read by the OpenAPI derive alone")]
#[response(status = 404)]
pub(crate) struct NotFound(Problem);

/// `If-Match` names another state of the row.
#[derive(Debug, IntoResponses)]
#[expect(dead_code, reason = "read by the OpenAPI derive alone")]
#[response(status = 412)]
pub(crate) struct PreconditionFailed(Problem);

/// The state of the row forbids it.
#[derive(Debug, IntoResponses)]
#[expect(dead_code, reason = "read by the OpenAPI derive alone")]
#[response(status = 409)]
pub(crate) struct Conflict(Problem);

/// Scripts or functions need it.
#[derive(Debug, IntoResponses)]
#[expect(dead_code, reason = "read by the OpenAPI derive alone")]
#[response(status = 409)]
pub(crate) struct InUseConflict(InUse);
