//! Claim, heartbeat and finish.
//!
//! Invariant: an attempt belongs to the worker that claimed it until it finishes it, hands it back, or lets its
//! lease run out. Every write names `(execution, attempt, worker)`; one that comes too late changes nothing and is
//! told so. A worker that has handed an attempt back never claims again, so the number can be given out once more.

mod claim;
mod finish;
mod logs;
pub mod reaper;
mod renew;

pub use claim::{ClaimResult, Claimed, DurableClaim, PinnedFunction, RowError, SealedVariable};
pub use finish::{End, Phases};
pub use renew::{HeartbeatReply, WorkerRow};

use crate::db::Database;
use std::{sync::Arc, time::Duration};
use uuid::Uuid;

/// How long an attempt stays ours without a heartbeat.
pub const LEASE: Duration = Duration::from_secs(10);
/// Two heartbeats may fail before the lease is gone; one, if it first waits for a connection as long as it may.
pub const HEARTBEAT: Duration = Duration::from_secs(3);

/// Statements of the hot path, prepared on every connection ahead of their first use.
pub const PREPARED: &[&str] = &[claim::CLAIM, claim::FLUSH, finish::FINISH];

/// One attempt of one execution: what every write is fenced by, together with the worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Attempt {
    pub execution_id: Uuid,
    /// 1-based.
    pub number: i32,
}

/// Result of a write that names its attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FencedWrite {
    Applied,
    /// The attempt belongs to another worker, or is over. Nothing was written.
    LeaseLost,
}

impl FencedWrite {
    const fn from_rows(rows: usize) -> Self {
        if rows == 0 { Self::LeaseLost } else { Self::Applied }
    }
}

/// The statements of one worker.
#[derive(Clone, Debug)]
pub struct Claims {
    database: Database,
    /// Unique per process, not per host: the fence rests on it.
    worker_id: Arc<str>,
}

impl Claims {
    #[must_use]
    pub fn new(database: Database, worker_id: &str) -> Self {
        Self { database, worker_id: worker_id.into() }
    }

    /// Connections of the pool, and how many of them are idle.
    #[must_use]
    pub fn connections(&self) -> (usize, usize) {
        self.database.connections()
    }
}
