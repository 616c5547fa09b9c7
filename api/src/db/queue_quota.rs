//! How many executions of one workspace may be queued at a time.

use crate::model::error::ApiError;
use shared::telemetry::metrics;
use sqlx::PgExecutor;
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};
use uuid::Uuid;

/// A count is believed for this long; what this process adds meanwhile is counted on top.
const BELIEVED: Duration = Duration::from_secs(1);
/// Seconds after which a full queue is worth another try.
const RETRY_AFTER_S: u64 = 5;
const SWEEP_AT: usize = 10_000;

#[derive(Clone, Copy, Debug)]
struct Count {
    queued: i64,
    counted: Instant,
}

/// Refuses executions of a workspace whose queue is full. Approximate by what other processes add in one second.
#[derive(Debug)]
pub struct QueueQuota {
    most: i64,
    counts: Mutex<HashMap<Uuid, Count>>,
}

impl QueueQuota {
    /// `most` 0 is no limit.
    pub fn new(most: i64) -> Self {
        Self { most, counts: Mutex::default() }
    }

    /// Makes room for one execution, or refuses it with 429.
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
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.get_mut(&workspace_id).filter(|count| count.counted.elapsed() < BELIEVED)?;
        count.queued += 1;
        Some(count.queued)
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
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= SWEEP_AT {
            counts.retain(|_, count| count.counted.elapsed() < BELIEVED);
        }
        counts.insert(workspace_id, Count { queued: queued + 1, counted: Instant::now() });
        Ok(queued + 1)
    }
}
