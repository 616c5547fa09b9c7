//! Cancels an execution.

use crate::{db, model::error::ApiError};
use shared::{
    execution::{ErrorCode, Status},
    telemetry::metrics::EXECUTIONS,
};
use sqlx::PgPool;
use uuid::Uuid;

/// Result of a cancel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CancelOutcome {
    /// The execution has ended as cancelled, now or before.
    Cancelled,
    /// The execution runs, and its worker was asked to stop it.
    Requested,
}

/// Cancels a queued execution, or requests the cancel of a running one. Rejects one that ended otherwise.
pub(crate) async fn cancel(pool: &PgPool, workspace_id: Uuid, id: Uuid) -> Result<CancelOutcome, ApiError> {
    let found = db::executions::cancel(pool, workspace_id, id).await?;
    match found.ok_or_else(|| ApiError::not_found("execution"))? {
        Status::Queued => {
            EXECUTIONS.with([Status::Cancelled.as_str(), ErrorCode::Cancelled.as_str()]).increment(1);
            Ok(CancelOutcome::Cancelled)
        }
        Status::Cancelled => Ok(CancelOutcome::Cancelled),
        Status::Running => Ok(CancelOutcome::Requested),
        ended @ (Status::Completed | Status::Errored) => {
            let detail = format!("The execution is {ended} already.");
            Err(ApiError::conflict("already_finished", detail))
        }
    }
}
