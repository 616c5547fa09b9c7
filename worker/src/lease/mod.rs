//! Statements of attempts: claim, heartbeat and finish.
//!
//! Invariant: an attempt belongs to the worker that claimed it, until the worker finishes or releases it or its lease
//! expires. Every write names `(execution, attempt, worker)`. A write that comes too late changes nothing and returns
//! [`FencedWrite::LeaseLost`]. A worker that has released an attempt never claims again, so the next claim can use the
//! same number.

mod batch;
mod claim;
mod finish;
mod logs;
pub(crate) mod reaper;
mod renew;

pub use claim::{ClaimResult, Claimed};
pub(crate) use claim::{DurableClaim, RowError};
pub use finish::{AttemptEnd, Phases};
pub use renew::{HeartbeatReply, WorkerRow};

use crate::db::Database;
use batch::Batcher;
use std::{sync::Arc, time::Duration};
use uuid::Uuid;

/// Seconds for which an attempt belongs to its worker without a heartbeat.
pub(crate) const LEASE: Duration = Duration::from_secs(10);
/// Seconds between two heartbeats. Two may fail before the lease expires, or one that first waits the longest time for
/// a connection.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(3);

/// Statements of every execution, prepared on each connection ahead of their first use.
pub const PREPARED: &[&str] = &[claim::CLAIM, claim::FLUSH, finish::FINISH];

/// Identity of an attempt. Every write is fenced by it and by the worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Attempt {
    pub execution_id: Uuid,
    /// Number of the attempt, from 1.
    pub number: i32,
}

/// Result of a write that names its attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FencedWrite {
    Applied,
    /// Nothing was written, since the attempt has ended or belongs to another worker.
    LeaseLost,
}

impl FencedWrite {
    const fn from_rows(rows: usize) -> Self {
        if rows == 0 { Self::LeaseLost } else { Self::Applied }
    }
}

/// Statements of one worker.
#[derive(Clone, Debug)]
pub struct Claims {
    database: Database,
    /// Unique for each process rather than each host: the fence depends on it.
    worker_id: Arc<str>,
    batcher: Batcher,
}

impl Claims {
    /// Makes the statements of a worker. Call it inside the runtime, in which a task sends them.
    #[must_use]
    pub fn new(database: Database, worker_id: &str) -> Self {
        let worker_id: Arc<str> = worker_id.into();
        let batcher = Batcher::start(database.clone(), Arc::clone(&worker_id));
        Self { database, worker_id, batcher }
    }

    /// Returns the number of connections of the pool, and how many of them are idle.
    #[must_use]
    pub fn connections(&self) -> (usize, usize) {
        self.database.connections()
    }
}
