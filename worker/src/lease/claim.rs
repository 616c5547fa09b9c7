//! Taking on an execution.

use super::{Attempt, Claims, LEASE};
use crate::db::DatabaseError;
use chrono::{DateTime, Utc};
use futures_util::future::{BoxFuture, FutureExt as _, ready};
use serde::Deserialize;
use serde_json::value::RawValue;
use shared::execution::{TriggerType, UnknownText};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::oneshot;
use tokio_postgres::{Row, types::ToSql};
use uuid::Uuid;

/// Parameters: execution, worker, lease in seconds.
///
/// A row that waits for its retry is not taken early by a message that came twice. The outbox row has done its
/// work with the first message that arrives, whatever the execution's status.
///
/// Its commit does not wait for the disk: see [`Claim::durable`]. Scripts and workspaces are joined row by row, since the
/// plan is kept and the planner knows not that there is one claim: it would read all scripts.
pub(super) const CLAIM: &str = "
WITH claimed AS (
    UPDATE script_executions SET
        status = 'running', attempt = attempt + 1, worker_id = $2, started_at = clock_timestamp(),
        lease_expires_at = now() + make_interval(secs => $3),
        queue_ms = greatest(0, round(extract(epoch FROM clock_timestamp() - queued_at) * 1000, 3))
    WHERE id = $1 AND status = 'queued'
        AND NOT EXISTS (SELECT FROM outbox WHERE execution_id = $1 AND available_at > now())
    RETURNING *
), departed AS (
    DELETE FROM outbox WHERE execution_id = $1 AND available_at <= now()
)
SELECT c.id, c.attempt, c.max_attempts, c.retries_left, c.workspace_id, w.slug, c.script_id, c.trigger_type,
    c.build_hash, c.functions::text AS functions, c.allowed_domains,
    c.event::text AS event, c.context::text AS context, c.variables::text AS variables,
    c.env_sealed AS execution_env, s.env_sealed AS script_env, c.traceparent,
    coalesce(s.max_retries - c.retries_left, 0) AS retries_spent, coalesce(s.retry_backoff_s, 10) AS retry_backoff_s,
    ARRAY(SELECT key FROM environment_variables v WHERE v.workspace_id = c.workspace_id ORDER BY key) AS env_keys,
    ARRAY(SELECT value_sealed FROM environment_variables v WHERE v.workspace_id = c.workspace_id ORDER BY key) AS env_values,
    (SELECT coalesce(max(seq), 0) FROM execution_logs l WHERE l.execution_id = $1) AS last_log_seq,
    c.started_at, c.queue_ms,
    set_config('synchronous_commit', 'off', true)
FROM claimed c
CROSS JOIN LATERAL (SELECT slug FROM workspaces WHERE id = c.workspace_id LIMIT 1) w
LEFT JOIN LATERAL (SELECT env_sealed, max_retries, retry_backoff_s FROM scripts WHERE id = c.script_id LIMIT 1) s ON true";

/// A claim that takes longer to reach the disk is given up: its lease may be over by then.
const TIMELY: Duration = LEASE.checked_div(2).expect("two is not zero");

/// Writes a record of the write-ahead log and waits until it is on disk, and with it all that was committed before.
pub(super) const FLUSH: &str = "SELECT pg_logical_emit_message(true, 'runnerctl', '')";

/// Parameter: execution. A statement of its own: transactions that notify commit one after another, so none of them should
/// wait for the disk; and those who are told look at once, on processors that the run needs to begin.
pub(super) const ANNOUNCE: &str = "SELECT pg_notify('execution_changed', $1::uuid::text)::text, set_config('synchronous_commit', 'off', true)";

/// An execution that was claimed.
pub struct Claim {
    pub row: Result<Claimed, (Attempt, Unreadable)>,
    /// Ends when the claim is on disk, without having to be asked for; before, a crash of the server takes it back, so the
    /// run must do nothing that others see. An error leaves open whether the claim holds.
    pub durable: BoxFuture<'static, Result<(), DatabaseError>>,
}

/// A claimed execution, as the row has it: nothing is opened or parsed beyond what the row's types say.
#[derive(Debug)]
pub struct Claimed {
    pub attempt: Attempt,
    pub max_attempts: i32,
    /// Retries left for the script's own faults.
    pub retries_left: i32,
    /// How often it was retried already; as of the script's present setting.
    pub retries_spent: u32,
    pub retry_backoff: Duration,
    pub workspace_id: Uuid,
    pub workspace_slug: String,
    /// None for unsaved code.
    pub script_id: Option<Uuid>,
    pub trigger_type: TriggerType,
    pub build_hash: String,
    pub functions: Vec<PinnedFunction>,
    pub allowed_domains: Vec<String>,
    pub event: Box<RawValue>,
    pub context: Box<RawValue>,
    pub variables: Box<RawValue>,
    /// Sealed JSON object that came with this execution.
    pub execution_env: Option<Vec<u8>>,
    /// Sealed JSON object of the script.
    pub script_env: Option<Vec<u8>>,
    pub workspace_env: Vec<SealedVariable>,
    pub traceparent: Option<String>,
    /// Number of the last log line of earlier attempts; 0 if there is none.
    pub last_log_seq: i32,
    pub started_at: DateTime<Utc>,
    /// From the acceptance to this claim, in milliseconds.
    pub queue_ms: f64,
}

/// The build of a function the script needs, fixed when the script was saved.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct PinnedFunction {
    pub name: String,
    pub build_hash: String,
}

/// One value of the workspace's environment, still sealed.
#[derive(Clone, Debug)]
pub struct SealedVariable {
    pub key: String,
    pub value: Vec<u8>,
}

/// Why a claimed row can't be run.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    #[error(transparent)]
    Column(#[from] tokio_postgres::Error),
    #[error(transparent)]
    Text(#[from] UnknownText),
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

impl Claims {
    /// Raises the attempt and sets the lease. None if the execution is not waiting for a worker: another has it, it is
    /// over, its retry is not due, or there is none. In every case the message has done its work.
    ///
    /// The message of a new execution may come ahead of its row, which is waited for.
    pub async fn claim(&self, execution_id: Uuid) -> Result<Option<Claim>, DatabaseError> {
        match self.claim_row(execution_id).await? {
            None if self.is_queued(execution_id).await? => self.claim_row(execution_id).await,
            claim => Ok(claim),
        }
    }

    /// Tells those who wait for the execution that it was claimed, and the relays that there is room. To be called when the
    /// claim is on disk.
    pub async fn announce(&self, execution_id: Uuid) -> Result<(), DatabaseError> {
        let connection = self.database.connection().await?;
        let announce = connection.prepare_cached(ANNOUNCE).await?;
        connection.execute(&announce, &[&execution_id]).await?;
        Ok(())
    }

    async fn claim_row(&self, execution_id: Uuid) -> Result<Option<Claim>, DatabaseError> {
        let connection = self.database.connection().await?;
        let claim = connection.prepare_cached(CLAIM).await?;
        let flush = connection.prepare_cached(FLUSH).await?;
        let worker_id = Arc::clone(&self.worker_id);
        let asked = Instant::now();
        let (tell, mut told) = oneshot::channel();
        // Both statements are sent at once. What the first answers is looked at while the server waits for its disk.
        let mut both = async move {
            let first = async {
                let parameters: [&(dyn ToSql + Sync); 3] =
                    [&execution_id, &&*worker_id, &LEASE.as_secs_f64()];
                // Nobody listens any more if the claim was given up.
                drop(tell.send(connection.query_opt(&claim, &parameters).await));
            };
            let ((), flushed) = tokio::join!(first, connection.execute(&flush, &[]));
            flushed?;
            // A lease that is over while the disk is waited for is none to begin with.
            if asked.elapsed() < TIMELY { Ok(()) } else { Err(DatabaseError::Late(TIMELY)) }
        }
        .boxed();
        let (row, flushed) = tokio::select! {
            biased;
            flushed = &mut both => (told.await, Some(flushed)),
            row = &mut told => (row, None),
        };
        let Some(row) = row.expect("the first answer is told before both are there")? else {
            return Ok(None);
        };
        let attempt = Attempt { execution_id, number: row.try_get("attempt")? };
        let row = read(&row, attempt).map_err(|unreadable| (attempt, unreadable));
        let durable = flushed.map_or(both, |flushed| ready(flushed).boxed());
        Ok(Some(Claim { row, durable }))
    }
}

/// A count of a signed column; negative ones do not occur and count as 0.
fn count(value: i32) -> u32 {
    u32::try_from(value).unwrap_or(0)
}

fn read(row: &Row, attempt: Attempt) -> Result<Claimed, Unreadable> {
    let json = |column: &str| Ok::<_, Unreadable>(RawValue::from_string(row.try_get(column)?)?);
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
        traceparent: row.try_get("traceparent")?,
        last_log_seq: row.try_get("last_log_seq")?,
        started_at: row.try_get("started_at")?,
        queue_ms: row.try_get("queue_ms")?,
    })
}
