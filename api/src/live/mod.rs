//! Notifies waiting requests of the progress of executions, without a query per request.
//!
//! Invariant: each process has one LISTEN connection, and reads all changed executions in one query, regardless of the
//! number of waiting requests. A lost notification causes a delay of at most [`SWEEP`], after which all watched
//! executions are read.

mod notifications;
mod poller;

pub use notifications::NotificationSinks;

use crate::model::execution::Progress;
use shared::config::Secret;
use sqlx::PgPool;
use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::{Notify, Semaphore, SemaphorePermit, watch};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Seconds between two queries for all watched executions, which do not depend on notifications.
const SWEEP: Duration = Duration::from_secs(5);

/// Limits the event streams that read lines from the database at the same time, so that many streams of a verbose run
/// leave connections to other requests.
pub const READERS: usize = 4;

/// An execution that requests wait for.
#[derive(Debug)]
struct Watched {
    progress: watch::Sender<Option<Progress>>,
    watchers: usize,
}

/// The executions that requests wait for.
#[derive(Debug)]
pub struct Live {
    watched: Mutex<HashMap<Uuid, Watched>>,
    /// Watched executions that changed since the last query. Bounded by the number of watched executions.
    changed: Mutex<HashSet<Uuid>>,
    wake: Notify,
    readers: Semaphore,
}

impl Default for Live {
    fn default() -> Self {
        Self {
            watched: Mutex::default(),
            changed: Mutex::default(),
            wake: Notify::new(),
            readers: Semaphore::new(READERS),
        }
    }
}

impl Live {
    /// Watches an execution until the watch is dropped. Call it before the row is read, so that no change in between is
    /// missed.
    pub fn watch(self: &Arc<Self>, id: Uuid) -> Watch {
        let mut watched = lock(&self.watched);
        let entry =
            watched.entry(id).or_insert_with(|| Watched { progress: watch::Sender::new(None), watchers: 0 });
        entry.watchers += 1;
        Watch { live: self.clone(), id, progress: entry.progress.subscribe() }
    }

    /// Waits for a permit to read the lines of an event stream. The permit is released when it is dropped.
    pub async fn acquire_reader(&self) -> SemaphorePermit<'_> {
        self.readers.acquire().await.expect("the semaphore is never closed")
    }

    /// Returns the number of watches.
    pub fn watchers(&self) -> usize {
        lock(&self.watched).values().map(|entry| entry.watchers).sum()
    }

    /// Publishes progress to the watches until `stopping`.
    pub async fn run(
        self: Arc<Self>,
        pool: PgPool,
        database_url: Secret,
        sinks: NotificationSinks,
        stopping: CancellationToken,
    ) {
        tokio::join!(
            poller::run(&self, &pool, &stopping),
            notifications::run(&self, &database_url, &sinks, &stopping),
        );
    }

    fn mark_changed(&self, id: Uuid) {
        if lock(&self.watched).contains_key(&id) {
            lock(&self.changed).insert(id);
            self.wake.notify_one();
        }
    }

    fn mark_all_changed(&self) {
        let watched: Vec<Uuid> = lock(&self.watched).keys().copied().collect();
        if !watched.is_empty() {
            lock(&self.changed).extend(watched);
            self.wake.notify_one();
        }
    }

    fn take_changed(&self) -> Vec<Uuid> {
        lock(&self.changed).drain().collect()
    }

    fn publish(&self, id: Uuid, progress: Progress) {
        if let Some(entry) = lock(&self.watched).get(&id) {
            entry.progress.send_if_modified(|known| {
                let changed = *known != Some(progress);
                *known = Some(progress);
                changed
            });
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Watch of a request on an execution. It ends with the request.
#[derive(Debug)]
pub struct Watch {
    live: Arc<Live>,
    id: Uuid,
    progress: watch::Receiver<Option<Progress>>,
}

impl Watch {
    /// Waits for the next change, and returns the progress after it.
    pub async fn changed(&mut self) -> Option<Progress> {
        // The sender exists as long as a watch exists.
        self.progress.changed().await.ok()?;
        *self.progress.borrow_and_update()
    }

    /// Waits until the execution has ended.
    pub async fn terminal(&mut self) {
        while self.changed().await.is_some_and(|progress| !progress.status.is_terminal()) {}
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut watched = lock(&self.live.watched);
        if let Some(entry) = watched.get_mut(&self.id) {
            entry.watchers -= 1;
            if entry.watchers == 0 {
                watched.remove(&self.id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::execution::Status;

    #[tokio::test]
    async fn a_change_reaches_every_watch_and_the_last_removes_the_entry() {
        let live = Arc::new(Live::default());
        let id = Uuid::from_u128(1);
        let (mut one, mut two) = (live.watch(id), live.watch(id));
        let done = Progress { status: Status::Completed, attempt: 1, last_seq: 3 };
        live.publish(id, done);
        assert_eq!(one.changed().await, Some(done));
        two.terminal().await;
        drop((one, two));
        assert!(lock(&live.watched).is_empty());
    }

    #[test]
    fn changes_of_unwatched_executions_are_not_queried() {
        let live = Arc::new(Live::default());
        let _watch = live.watch(Uuid::from_u128(1));
        live.mark_changed(Uuid::from_u128(1));
        live.mark_changed(Uuid::from_u128(2));
        assert_eq!(live.take_changed(), [Uuid::from_u128(1)]);
        live.mark_all_changed();
        assert_eq!(live.take_changed(), [Uuid::from_u128(1)]);
    }
}
