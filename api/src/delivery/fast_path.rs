//! The fast path: while there is no backlog, the process that writes an execution publishes its message itself, right after
//! the commit, without a turn of the relay (ADR 14).
//!
//! Invariant: a message names a committed row. The commit need not be on disk yet, so that publishing and the flush overlap;
//! an execution is accepted when both its row and its outbox row are on disk.

use super::Dispatcher;
use crate::db::enqueue::{self, Inserted, Mode};
use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use std::sync::{Arc, atomic::Ordering};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Statements of one process that may mark their rows at the same moment: none sees the marks of the others.
const MAX_CONCURRENT_PERMITS: usize = 2;

/// Limits the executions of one process that are on the fast path.
#[derive(Debug)]
pub(super) struct Gate(Arc<Semaphore>);

impl Default for Gate {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MAX_CONCURRENT_PERMITS)))
    }
}

/// The way of one execution from its insert to the broker. To be held until the commit.
#[derive(Debug)]
pub struct FastPath {
    dispatcher: Arc<Dispatcher>,
    /// `None`: the relay publishes the row.
    permit: Option<OwnedSemaphorePermit>,
}

impl FastPath {
    /// Reserves the fast path. Leaves the row to the relay if there is a backlog, if the installation limits running
    /// executions (only the relay counts them), while the broker is away, and during shutdown.
    #[must_use]
    pub fn try_enter(dispatcher: &Arc<Dispatcher>) -> Self {
        let is_open = dispatcher.workspace_limit == 0
            && !dispatcher.has_backlog.load(Ordering::Relaxed)
            && !dispatcher.in_flight.is_closed()
            && dispatcher.publisher.is_open();
        let permit = is_open.then(|| Arc::clone(&dispatcher.fast_path.0).try_acquire_owned().ok()).flatten();
        Self { dispatcher: Arc::clone(dispatcher), permit }
    }

    /// Returns how the execution has to be inserted.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        if self.permit.is_some() { Mode::FastPath } else { Mode::Relay }
    }

    /// Publishes the execution, or wakes the relay, and waits until the execution is on disk. To be called after the
    /// commit. Returns when the execution was queued; only now it is accepted.
    pub async fn publish_and_wait_durable(
        self,
        inserted: Inserted,
        connection: &mut PgConnection,
    ) -> sqlx::Result<DateTime<Utc>> {
        let Inserted { queued_at, marked } = inserted;
        let Some(entry) = marked else {
            self.dispatcher.wake().notify_one();
            return Ok(queued_at);
        };
        self.dispatcher.dispatch(entry);
        drop(self.permit);
        enqueue::wait_durable(connection).await?;
        Ok(queued_at)
    }
}
