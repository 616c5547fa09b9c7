//! The fast path: while there is no backlog, the process that writes an execution also publishes its message, right
//! after the commit and without the relay (ADR 14).
//!
//! Invariant: a message names a committed row. The commit may not be on disk yet, so that publish and flush overlap. An
//! execution is accepted when both its row and its outbox row are on disk.

use super::Dispatcher;
use crate::db::enqueue::{self, Inserted, Mode};
use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Limits the executions of one process on the fast path. Their statements may run at the same moment, and then do not
/// see each other's marks.
const MAX_CONCURRENT_PERMITS: usize = 2;

/// Limits the executions of one process that are on the fast path.
#[derive(Debug)]
pub(super) struct Gate(Arc<Semaphore>);

impl Default for Gate {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MAX_CONCURRENT_PERMITS)))
    }
}

/// Path of one execution from its insert to the broker. Hold it until the commit.
#[derive(Debug)]
pub struct FastPath {
    dispatcher: Arc<Dispatcher>,
    /// Permit of the fast path; `None` leaves the row to the relay.
    permit: Option<OwnedSemaphorePermit>,
}

impl FastPath {
    /// Reserves the fast path. Leaves the row to the relay if there is a backlog, if the installation limits running
    /// executions (only the relay counts them), while the broker is unreachable, and during shutdown.
    #[must_use]
    pub fn try_enter(dispatcher: &Arc<Dispatcher>) -> Self {
        let is_open = dispatcher.workspace_limit == 0
            && !dispatcher.backlog.is_waiting()
            && !dispatcher.in_flight.is_closed()
            && dispatcher.publisher.is_open();
        let permit = is_open.then(|| Arc::clone(&dispatcher.fast_path.0).try_acquire_owned().ok()).flatten();
        Self { dispatcher: Arc::clone(dispatcher), permit }
    }

    /// Returns the mode in which to insert the execution.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        if self.permit.is_some() { Mode::FastPath } else { Mode::Relay }
    }

    /// Publishes the execution, or wakes the relay, and waits until the execution is on disk. Call it after the commit.
    /// Returns the time at which the execution was queued. The execution is accepted only after the return.
    pub async fn publish_and_wait_durable(
        self,
        inserted: Inserted,
        connection: &mut PgConnection,
    ) -> sqlx::Result<DateTime<Utc>> {
        let Inserted { queued_at, marked } = inserted;
        let Some(entry) = marked else {
            self.dispatcher.note_write();
            return Ok(queued_at);
        };
        self.dispatcher.dispatch(entry);
        drop(self.permit);
        enqueue::wait_durable(connection).await?;
        Ok(queued_at)
    }
}
