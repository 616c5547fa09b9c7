//! A workspace's share of the connections to the database.
//!
//! Most statements take a millisecond, and the pool's queue is fair enough for them. A request that may take longer
//! acquires a permit first: it reads much, waits for a lock, or builds code while it holds one. A workspace has few
//! permits, given in the order in which its requests came. So no number of its requests takes the connections of all
//! other workspaces.

use crate::model::error::ApiError;
use shared::{fair_pool::KeySemaphores, telemetry::metrics::RATE_LIMITED};
use sqlx::PgPool;
use std::{ops::Deref, time::Duration};
use tokio::sync::OwnedSemaphorePermit;
use uuid::Uuid;

/// Longest wait of a list for a permit, in seconds: as long as for a connection.
const LIST_ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
/// Longest wait of a save for a permit, in seconds: as long as for a lock.
const SAVE_ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
/// Limits the connections for lists that one workspace may hold: one in this many.
const LIST_FRACTION: u32 = 2;
/// Limits the connections for other requests that one workspace's saves may hold: one in this many.
const SAVE_FRACTION: u32 = 4;
/// Seconds after which a busy workspace may try again.
const RETRY_AFTER_S: u64 = 1;

/// Permits to use one pool, by workspace.
#[derive(Debug)]
pub struct Shares {
    pool: PgPool,
    workspaces: KeySemaphores<Uuid>,
    acquire_timeout: Duration,
}

impl Shares {
    /// Shares of the pool that reads lists.
    pub fn of_lists(pool: PgPool) -> Self {
        Self::new(pool, LIST_FRACTION, LIST_ACQUIRE_TIMEOUT)
    }

    /// Shares of the requests' pool that saves may hold.
    pub fn of_saves(pool: PgPool) -> Self {
        Self::new(pool, SAVE_FRACTION, SAVE_ACQUIRE_TIMEOUT)
    }

    fn new(pool: PgPool, fraction: u32, acquire_timeout: Duration) -> Self {
        let limit = (pool.options().get_max_connections() / fraction).max(1);
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Self { pool, workspaces: KeySemaphores::new(limit), acquire_timeout }
    }

    /// Returns the pool, without a permit.
    pub const fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Waits for a permit of the workspace. Answers 429 if its other requests hold all permits for too long.
    pub async fn acquire(&self, workspace_id: Uuid) -> Result<PoolShare, ApiError> {
        let semaphore = self.workspaces.of(workspace_id);
        let Ok(permit) = tokio::time::timeout(self.acquire_timeout, semaphore.acquire_owned()).await else {
            RATE_LIMITED.with(["share"]).increment(1);
            let detail = format!(
                "The workspace already has {} such requests under way, which is the limit, and they take long.",
                self.workspaces.limit()
            );
            return Err(ApiError::too_many_requests("workspace_busy", detail, RETRY_AFTER_S));
        };
        Ok(PoolShare { pool: self.pool.clone(), _permit: permit.expect("the semaphore is never closed") })
    }
}

/// The pool together with a permit, which is given back on drop.
#[derive(Debug)]
pub struct PoolShare {
    pool: PgPool,
    _permit: OwnedSemaphorePermit,
}

impl Deref for PoolShare {
    type Target = PgPool;

    fn deref(&self) -> &PgPool {
        &self.pool
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sqlx::postgres::PgPoolOptions;

    fn shares(connections: u32) -> Shares {
        let pool = PgPoolOptions::new().max_connections(connections);
        let pool = pool.connect_lazy("postgresql://127.0.0.1:1/none").unwrap();
        Shares::new(pool, LIST_FRACTION, Duration::from_millis(10))
    }

    #[tokio::test]
    async fn a_busy_workspace_is_refused_while_others_are_admitted() {
        let shares = shares(4);
        let (busy, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let first = shares.acquire(busy).await.unwrap();
        let _second = shares.acquire(busy).await.unwrap();
        let refused = shares.acquire(busy).await.unwrap_err();
        assert!(matches!(refused, ApiError::Problem(problem) if problem.code == "workspace_busy"));
        shares.acquire(other).await.unwrap();
        drop(first);
        shares.acquire(busy).await.unwrap();
    }
}
