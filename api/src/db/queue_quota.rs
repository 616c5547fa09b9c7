//! The limit on the queued executions of one workspace.

use crate::model::error::ApiError;
use moka::sync::Cache;
use shared::telemetry::metrics;
use sqlx::PgExecutor;
use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};
use uuid::Uuid;

/// Seconds for which a count is used; executions that this process adds meanwhile are added to it.
const COUNT_TTL: Duration = Duration::from_secs(1);
/// Limits the workspaces whose counts are kept.
const MAX_ENTRIES: u64 = 10_000;
/// Seconds after which a client may try again when its queue is full.
const RETRY_AFTER_S: u64 = 5;

/// Refuses executions of a workspace whose queue is full. Approximate by what other processes add in one second. Clones share counts.
#[derive(Clone, Debug)]
pub struct QueueQuota {
    most: i64,
    counts: Cache<Uuid, Arc<AtomicI64>>,
}

impl QueueQuota {
    /// Limits the queued executions of one workspace to `most`; 0 is no limit.
    pub fn new(most: i64) -> Self {
        Self { most, counts: Cache::builder().max_capacity(MAX_ENTRIES).time_to_live(COUNT_TTL).build() }
    }

    /// Counts one more execution, or rejects it with 429.
    pub async fn admit<'e>(&self, executor: impl PgExecutor<'e>, workspace_id: Uuid) -> Result<(), ApiError> {
        if self.most == 0 {
            return Ok(());
        }
        let queued = match self.take(workspace_id) {
            Some(queued) => queued,
            None => self.count(executor, workspace_id).await?,
        };
        if queued <= self.most {
            return Ok(());
        }
        metrics::RATE_LIMITED.with(["queue"]).increment(1);
        let detail = format!("The workspace has {} executions queued, which is the limit.", self.most);
        Err(ApiError::too_many_requests("queue_full", detail, RETRY_AFTER_S))
    }

    fn take(&self, workspace_id: Uuid) -> Option<i64> {
        Some(self.counts.get(&workspace_id)?.fetch_add(1, Ordering::Relaxed) + 1)
    }

    async fn count<'e>(&self, executor: impl PgExecutor<'e>, workspace_id: Uuid) -> Result<i64, ApiError> {
        let queued = sqlx::query_scalar!(
            r#"SELECT count(*) AS "count!" FROM
               (SELECT FROM script_executions WHERE workspace_id = $1 AND status = 'queued' LIMIT $2) AS queued"#,
            workspace_id,
            self.most,
        )
        .fetch_one(executor)
        .await?;
        self.counts.insert(workspace_id, Arc::new(AtomicI64::new(queued + 1)));
        Ok(queued + 1)
    }
}
