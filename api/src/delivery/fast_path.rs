//! The right of an execution to leave at once, and its message ahead of its row.
//!
//! Invariant: a message that goes ahead promises nothing. The worker waits a moment for the row, which alone decides; a
//! row whose message may have been given up by then, or was not taken by the broker, is published again.

use super::{
    Outgoing,
    publisher::{begin, message},
};
use shared::message::{NEW, ROW_PATIENCE, is_new};
use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};
use tokio::{sync::OwnedSemaphorePermit, task::JoinHandle};
use uuid::Uuid;

/// A row that is written later than this after its message may miss the worker that waits for it. Half of the patience:
/// the way from here to the worker takes some of it.
const IN_TIME: Duration = ROW_PATIENCE.checked_div(2).expect("two is not zero");
/// Messages go ahead only while the broker has at least this many free places, half of them: the next statement counts what
/// this one could not.
const PLACES_TO_SPARE: i64 = 4;
/// Sixteen bytes each.
const MOST_REMEMBERED: usize = 10_000;

/// The right to let one row leave at once: see [`Outgoing::ticket`].
#[derive(Debug)]
pub struct Ticket {
    outgoing: Arc<Outgoing>,
    _permit: OwnedSemaphorePermit,
    ahead: Option<Ahead>,
}

/// A message that was sent before its row was written.
#[derive(Debug)]
pub(super) struct Ahead {
    sent: Instant,
    /// Whether the broker has it, once it says so.
    confirm: JoinHandle<bool>,
}

/// Workspaces whose last execution found room to leave at once, each good for one message ahead: who sends one and then
/// writes nothing, sends none ahead next time. All are forgotten as soon as one finds the broker full or somebody waiting.
#[derive(Debug, Default)]
pub(super) struct Unhindered(Mutex<HashSet<Uuid>>);

impl Ticket {
    pub(super) const fn new(outgoing: Arc<Outgoing>, permit: OwnedSemaphorePermit) -> Self {
        Self { outgoing, _permit: permit, ahead: None }
    }

    /// To be called right before the statement that writes the execution: sends its message ahead if the workspace's last
    /// execution found room to spare. Tells whether it did; the row must then be marked.
    pub(crate) fn send_ahead(
        &mut self,
        workspace_id: Uuid,
        execution_id: Uuid,
        traceparent: Option<&str>,
    ) -> bool {
        if is_new(execution_id, SystemTime::now(), NEW / 2) && self.outgoing.unhindered.take(workspace_id) {
            let mut step = begin(execution_id, traceparent.map(str::to_owned));
            let outgoing = Arc::clone(&self.outgoing);
            let sending = async move {
                let message = message(execution_id, &step, outgoing.publisher.topology());
                let results = outgoing.publisher.publish(&[message]).await;
                let is_there = results.iter().all(Result::is_ok);
                if !is_there {
                    step.fail("not_published");
                }
                is_there
            };
            let confirm = self.outgoing.under_way.spawn(sending);
            self.ahead = Some(Ahead { sent: Instant::now(), confirm });
        }
        self.ahead.is_some()
    }

    /// To be called after the commit: notes how many free places the broker had for the workspace's execution.
    pub(crate) fn note_places(&self, workspace_id: Uuid, places: i64) {
        self.outgoing.unhindered.note(workspace_id, places);
    }

    pub(super) fn into_ahead(self) -> Option<Ahead> {
        self.ahead
    }
}

impl Ahead {
    /// To be called after the row's commit: whether the worker that got the message can have met the row.
    pub(super) fn is_in_time(&self) -> bool {
        self.sent.elapsed() < IN_TIME
    }

    /// Waits for the broker's confirm: whether it has the message.
    pub(super) async fn confirmed(self) -> bool {
        self.confirm.await.unwrap_or(false)
    }
}

impl Unhindered {
    fn take(&self, workspace_id: Uuid) -> bool {
        self.lock().remove(&workspace_id)
    }

    fn note(&self, workspace_id: Uuid, places: i64) {
        let mut workspaces = self.lock();
        if places < PLACES_TO_SPARE || workspaces.len() >= MOST_REMEMBERED {
            workspaces.clear();
        }
        if places >= PLACES_TO_SPARE {
            workspaces.insert(workspace_id);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashSet<Uuid>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
