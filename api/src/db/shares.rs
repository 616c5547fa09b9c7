//! A workspace's share of the connections to the database.
//!
//! Most statements take a millisecond, and the pool's queue is fair enough for them. What may take longer, because it reads
//! much, or waits for a lock, or builds code while it holds one, takes a turn first. A workspace has few turns at a time, in
//! the order in which its requests came, so that no number of its requests takes the connections of all others.

use crate::model::error::ApiError;
use shared::telemetry::metrics::RATE_LIMITED;
use sqlx::PgPool;
use std::{
    collections::HashMap,
    ops::Deref,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

/// Longest wait for a turn at a list, as long as for a connection.
const LIST_PATIENCE: Duration = Duration::from_secs(3);
/// Longest wait for a turn at a save, as long as for a lock.
const SAVE_PATIENCE: Duration = Duration::from_secs(10);
/// Part of the connections for lists that one workspace may hold: one in so many.
const LIST_PART: u32 = 2;
/// Part of the connections for other requests that one workspace's saves may hold: one in so many.
const SAVE_PART: u32 = 4;
/// Seconds after which a workspace that is busy may try again.
const RETRY_AFTER_S: u64 = 1;
/// Workspaces without a request are forgotten once there are this many.
const SWEEP_AT: usize = 10_000;

/// Turns at one pool, by workspace.
#[derive(Debug)]
pub struct Shares {
    pool: PgPool,
    /// Turns a workspace has at a time.
    most: usize,
    patience: Duration,
    turns: Mutex<HashMap<Uuid, Arc<Semaphore>>>,
}

impl Shares {
    /// Turns at lists.
    pub fn of_lists(pool: PgPool) -> Self {
        Self::new(pool, LIST_PART, LIST_PATIENCE)
    }

    /// Turns at saves.
    pub fn of_saves(pool: PgPool) -> Self {
        Self::new(pool, SAVE_PART, SAVE_PATIENCE)
    }

    fn new(pool: PgPool, part: u32, patience: Duration) -> Self {
        let most = (pool.options().get_max_connections() / part).max(1);
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        Self { pool, most, patience, turns: Mutex::default() }
    }

    /// The pool that the turns are at.
    pub const fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Waits for a turn of the workspace. Refuses with 429 when the others of the workspace take too long.
    pub async fn turn(&self, workspace_id: Uuid) -> Result<Turn, ApiError> {
        let turns = self.turns_of(workspace_id);
        let Ok(permit) = tokio::time::timeout(self.patience, turns.acquire_owned()).await else {
            RATE_LIMITED.with(["share"]).increment(1);
            let detail = format!(
                "The workspace has {} such requests under way, which is the limit, and they take long.",
                self.most
            );
            return Err(ApiError::too_many_requests("workspace_busy", detail, RETRY_AFTER_S));
        };
        Ok(Turn { pool: self.pool.clone(), _permit: permit.expect("nobody closes it") })
    }

    fn turns_of(&self, workspace_id: Uuid) -> Arc<Semaphore> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        if turns.len() >= SWEEP_AT {
            // Who waits, or has a turn, holds one too.
            turns.retain(|_, turns| Arc::strong_count(turns) > 1);
        }
        turns.entry(workspace_id).or_insert_with(|| Arc::new(Semaphore::new(self.most))).clone()
    }
}

/// The pool, until the turn is dropped.
#[derive(Debug)]
pub struct Turn {
    pool: PgPool,
    _permit: OwnedSemaphorePermit,
}

impl Deref for Turn {
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
        Shares::new(pool, LIST_PART, Duration::from_millis(10))
    }

    #[tokio::test]
    async fn a_busy_workspace_leaves_turns_to_others() {
        let shares = shares(4);
        let (busy, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let first = shares.turn(busy).await.unwrap();
        let _second = shares.turn(busy).await.unwrap();
        let refused = shares.turn(busy).await.unwrap_err();
        assert!(matches!(refused, ApiError::Problem(problem) if problem.code == "workspace_busy"));
        shares.turn(other).await.unwrap();
        drop(first);
        shares.turn(busy).await.unwrap();
    }

    #[tokio::test]
    async fn workspaces_without_requests_are_forgotten() {
        let shares = shares(1);
        let _held = shares.turn(Uuid::nil()).await.unwrap();
        for id in 1..=SWEEP_AT {
            drop(shares.turn(Uuid::from_u128(id as u128)).await.unwrap());
        }
        let turns = shares.turns.lock().unwrap();
        assert!(turns.len() < SWEEP_AT && turns.contains_key(&Uuid::nil()));
    }
}
