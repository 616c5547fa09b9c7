//! Claims an execution for this worker.

use super::{
    Attempt, Claims,
    batch::{Operation, OperationAnswer, PendingFlush},
};
use crate::db::DatabaseError;
use serde::Deserialize;
use serde_json::value::RawValue;
use shared::execution::{TriggerType, UnknownText};
use std::time::Duration;
use tokio_postgres::Row;
use uuid::Uuid;

/// Claims a queued execution. Parameters: execution, worker, lease in seconds.
///
/// A duplicate message does not claim an execution before its retry is due. The first message that arrives removes the
/// outbox row, whatever the execution's status.
///
/// The commit does not wait for the disk: see [`DurableClaim`]. The statement can therefore also notify: PostgreSQL
/// commits one notifying transaction at a time, and none of them waits for the disk in that time.
///
/// Scripts and workspaces are joined with `LATERAL … LIMIT 1`: with a generic plan PostgreSQL cannot know that
/// `claimed` has one row and would scan `scripts`.
pub(super) const CLAIM: &str = "
WITH claimed AS (
    UPDATE script_executions SET
        status = 'running', attempt = attempt + 1, worker_id = $2, started_at = clock_timestamp(),
        lease_expires_at = now() + make_interval(secs => $3),
        queue_ms = greatest(0, round(extract(epoch FROM clock_timestamp() - queued_at) * 1000, 3))
    WHERE id = $1 AND status = 'queued'
        AND NOT EXISTS (SELECT FROM outbox WHERE execution_id = $1 AND available_at > now())
    RETURNING *
), delivered AS (
    DELETE FROM outbox WHERE execution_id = $1 AND available_at <= now()
)
SELECT c.id, c.attempt, c.max_attempts, c.retries_left, c.workspace_id, w.slug, c.script_id, c.trigger_type,
    c.build_hash, c.functions::text AS functions, c.allowed_domains,
    c.event::text AS event, c.context::text AS context, c.variables::text AS variables,
    c.env_sealed AS execution_env, s.env_sealed AS script_env,
    coalesce(s.max_retries - c.retries_left, 0) AS retries_spent, coalesce(s.retry_backoff_s, 10) AS retry_backoff_s,
    ARRAY(SELECT key FROM environment_variables v WHERE v.workspace_id = c.workspace_id ORDER BY key) AS env_keys,
    ARRAY(SELECT value_sealed FROM environment_variables v WHERE v.workspace_id = c.workspace_id ORDER BY key) AS env_values,
    (SELECT coalesce(max(seq), 0) FROM execution_logs l WHERE l.execution_id = $1) AS last_log_seq,
    c.queue_ms,
    pg_notify('execution_changed', c.id::text)::text, set_config('synchronous_commit', 'off', true)
FROM claimed c
CROSS JOIN LATERAL (SELECT slug FROM workspaces WHERE id = c.workspace_id LIMIT 1) w
LEFT JOIN LATERAL (SELECT env_sealed, max_retries, retry_backoff_s FROM scripts WHERE id = c.script_id LIMIT 1) s ON true";

/// Writes a record to the write-ahead log and waits until it is on disk, together with all earlier commits.
pub(super) const FLUSH: &str = "SELECT pg_logical_emit_message(true, 'runnerctl', '')";

/// Reads the status of an execution. Parameter: execution.
const STATUS: &str = "SELECT status FROM script_executions WHERE id = $1";

/// Result of a claim. In each case the message has served its purpose.
pub enum ClaimResult {
    Claimed(Box<DurableClaim>),
    /// The execution has this status: another worker runs it, it has ended, or it is queued for a later time.
    Unavailable(String),
    /// The execution does not exist: it was deleted, or lost in a crash of the database before it was accepted.
    NotFound,
}

/// A claimed execution, with the flush that puts the claim on disk.
///
/// A crash of the database undoes the claim before the flush, so no part of the script may have run by then. Only
/// [`Self::prepare`] gives access to the row, for this reason.
pub struct DurableClaim {
    pub attempt: Attempt,
    row: Result<Claimed, RowError>,
    flush: PendingFlush,
}

/// A claimed execution as stored: nothing is decrypted, and JSON is not parsed except the list of functions.
#[derive(Debug)]
pub struct Claimed {
    pub attempt: Attempt,
    pub max_attempts: i32,
    /// Number of retries left for the script's own faults.
    pub retries_left: i32,
    /// Number of retries so far, computed from the script's current setting.
    pub retries_spent: u32,
    pub retry_backoff: Duration,
    pub workspace_id: Uuid,
    pub workspace_slug: String,
    /// `None` for unsaved code.
    pub script_id: Option<Uuid>,
    pub trigger_type: TriggerType,
    pub build_hash: String,
    pub functions: Vec<PinnedFunction>,
    pub allowed_domains: Vec<String>,
    pub event: Box<RawValue>,
    pub context: Box<RawValue>,
    pub variables: Box<RawValue>,
    /// Encrypted JSON object that was sent with this execution.
    pub execution_env: Option<Vec<u8>>,
    /// Encrypted JSON object of the script.
    pub script_env: Option<Vec<u8>>,
    pub workspace_env: Vec<SealedVariable>,
    /// Number of the last log line of earlier attempts; 0 if there is none.
    pub last_log_seq: i32,
    /// Milliseconds from the acceptance to this claim.
    pub queue_ms: f64,
}

/// The build of a function that the script needs, fixed when the script was saved.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct PinnedFunction {
    pub name: String,
    pub build_hash: String,
}

/// An encrypted value of the workspace's environment.
#[derive(Clone, Debug)]
pub struct SealedVariable {
    pub key: String,
    pub value: Vec<u8>,
}

/// Reason why a claimed row can't be read.
#[derive(Debug, thiserror::Error)]
pub enum RowError {
    #[error(transparent)]
    Column(#[from] tokio_postgres::Error),
    #[error(transparent)]
    Text(#[from] UnknownText),
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

impl Claims {
    /// Claims the execution if it is queued and due: raises the attempt and sets the lease.
    pub async fn claim(&self, execution_id: Uuid) -> Result<ClaimResult, DatabaseError> {
        let OperationAnswer { row, flush } = self.batcher.perform(Operation::Claim(execution_id)).await?;
        let Some(row) = row else {
            drop(flush);
            return self.unclaimed(execution_id).await;
        };
        let attempt = Attempt { execution_id, number: row.try_get("attempt")? };
        let claim = DurableClaim { attempt, row: read(&row, attempt), flush };
        Ok(ClaimResult::Claimed(Box::new(claim)))
    }

    /// Returns why the claim found no row.
    async fn unclaimed(&self, execution_id: Uuid) -> Result<ClaimResult, DatabaseError> {
        let connection = self.database.connection().await?;
        let status = connection.prepare_cached(STATUS).await?;
        Ok(match connection.query_opt(&status, &[&execution_id]).await? {
            Some(row) => ClaimResult::Unavailable(row.try_get("status")?),
            None => ClaimResult::NotFound,
        })
    }
}

impl DurableClaim {
    /// Calls `prepare` with the row while the claim is flushed. Returns its output once the claim is on disk. The run
    /// may start only then.
    ///
    /// # Errors
    /// If the flush failed or took too long. The claim may or may not be stored; the output of `prepare` is dropped.
    pub async fn prepare<T, F: Future<Output = T>>(
        self,
        prepare: impl FnOnce(Result<Claimed, RowError>) -> F,
    ) -> Result<T, DatabaseError> {
        let preparing = prepare(self.row);
        let (prepared, ()) = tokio::try_join!(async { Ok(preparing.await) }, self.flush.0)?;
        Ok(prepared)
    }
}

/// Converts a count of a signed column. Negative ones do not occur and become 0.
fn count(value: i32) -> u32 {
    u32::try_from(value).unwrap_or(0)
}

fn read(row: &Row, attempt: Attempt) -> Result<Claimed, RowError> {
    let json = |column: &str| Ok::<_, RowError>(RawValue::from_string(row.try_get(column)?)?);
    let keys: Vec<String> = row.try_get("env_keys")?;
    let values: Vec<Vec<u8>> = row.try_get("env_values")?;
    Ok(Claimed {
        attempt,
        max_attempts: row.try_get("max_attempts")?,
        retries_left: row.try_get("retries_left")?,
        retries_spent: count(row.try_get("retries_spent")?),
        retry_backoff: Duration::from_secs(count(row.try_get("retry_backoff_s")?).into()),
        workspace_id: row.try_get("workspace_id")?,
        workspace_slug: row.try_get("slug")?,
        script_id: row.try_get("script_id")?,
        trigger_type: row.try_get::<_, &str>("trigger_type")?.parse()?,
        build_hash: row.try_get("build_hash")?,
        functions: serde_json::from_str(row.try_get("functions")?)?,
        allowed_domains: row.try_get("allowed_domains")?,
        event: json("event")?,
        context: json("context")?,
        variables: json("variables")?,
        execution_env: row.try_get("execution_env")?,
        script_env: row.try_get("script_env")?,
        workspace_env: keys
            .into_iter()
            .zip(values)
            .map(|(key, value)| SealedVariable { key, value })
            .collect(),
        last_log_seq: row.try_get("last_log_seq")?,
        queue_ms: row.try_get("queue_ms")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lease::batch::tests::flush;
    use futures_util::future::{FutureExt as _, pending};

    fn claim(flush: PendingFlush) -> DurableClaim {
        let attempt = Attempt { execution_id: Uuid::nil(), number: 1 };
        let row = Err(serde_json::from_str::<()>("").unwrap_err().into());
        DurableClaim { attempt, row, flush }
    }

    #[tokio::test]
    async fn a_prepared_run_is_returned_once_the_claim_is_on_disk() {
        let (flushed, flush) = flush();
        let claim = claim(PendingFlush(flush.boxed()));
        let mut prepared = Box::pin(claim.prepare(async |_| "ready"));
        assert!((&mut prepared).now_or_never().is_none());
        flushed.send(true).unwrap();
        assert_eq!(prepared.await.unwrap(), "ready");
    }

    #[tokio::test]
    async fn a_failed_flush_ends_the_preparation() {
        let (flushed, flush) = flush();
        let prepared = claim(PendingFlush(flush.boxed())).prepare(async |_| pending::<()>().await);
        flushed.send(false).unwrap();
        assert!(matches!(prepared.await, Err(DatabaseError::FlushTimeout(_))));
    }
}
