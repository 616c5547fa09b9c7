//! Attempts that this worker runs now.
//!
//! Invariant: an attempt is listed exactly as long as its guard lives. The heartbeat renews the leases of listed attempts
//! only, so the reaper takes over an attempt whose task died when its lease runs out.

use super::settle::Interruption;
use crate::lease::Attempt;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// List of all attempts in flight.
#[derive(Debug, Default)]
pub(crate) struct InFlight {
    attempts: Mutex<HashMap<Attempt, Arc<InFlightEntry>>>,
}

/// Interruption of one attempt, and the signal that ends its run.
#[derive(Debug, Default)]
struct InFlightEntry {
    interruption: OnceLock<Interruption>,
    cancel: CancellationToken,
}

/// Keeps an attempt listed.
#[derive(Debug)]
pub(crate) struct AttemptGuard<'a> {
    in_flight: &'a InFlight,
    attempt: Attempt,
    entry: Arc<InFlightEntry>,
}

impl InFlight {
    /// Lists an attempt that was just claimed.
    pub(crate) fn register(&self, attempt: Attempt) -> AttemptGuard<'_> {
        let entry = Arc::new(InFlightEntry::default());
        self.lock().insert(attempt, Arc::clone(&entry));
        AttemptGuard { in_flight: self, attempt, entry }
    }

    #[must_use]
    pub(crate) fn list(&self) -> Vec<Attempt> {
        self.lock().keys().copied().collect()
    }

    /// Ends one attempt's run.
    pub(crate) fn interrupt(&self, attempt: Attempt, interruption: Interruption) {
        if let Some(entry) = self.lock().get(&attempt) {
            entry.interrupt(interruption);
        }
    }

    /// Ends the run of an execution, if it runs here.
    pub(crate) fn interrupt_execution(&self, execution_id: Uuid, interruption: Interruption) {
        let entries = self.lock();
        let of_execution = entries.iter().filter(|(attempt, _)| attempt.execution_id == execution_id);
        of_execution.for_each(|(_, entry)| entry.interrupt(interruption));
    }

    /// Ends every run.
    pub(crate) fn interrupt_all(&self, interruption: Interruption) {
        self.lock().values().for_each(|entry| entry.interrupt(interruption));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Attempt, Arc<InFlightEntry>>> {
        // Every change is one insert or remove, so a panic leaves no half-made change behind.
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl InFlightEntry {
    /// Cancels the run. The first interruption counts.
    fn interrupt(&self, interruption: Interruption) {
        if self.interruption.set(interruption).is_ok() {
            self.cancel.cancel();
        }
    }
}

impl AttemptGuard<'_> {
    /// Returns the token that is cancelled when the run has to end.
    #[must_use]
    pub(crate) fn cancel_token(&self) -> CancellationToken {
        self.entry.cancel.clone()
    }

    #[must_use]
    pub(crate) const fn attempt(&self) -> Attempt {
        self.attempt
    }

    /// Returns why the run was ended from outside, if it was.
    #[must_use]
    pub(crate) fn interruption(&self) -> Option<Interruption> {
        self.entry.interruption.get().copied()
    }
}

impl Drop for AttemptGuard<'_> {
    fn drop(&mut self) {
        let mut attempts = self.in_flight.lock();
        // A crash of the server that takes a claim back lets the same attempt number be claimed and registered again.
        if attempts.get(&self.attempt).is_some_and(|entry| Arc::ptr_eq(entry, &self.entry)) {
            attempts.remove(&self.attempt);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(number: i32) -> Attempt {
        Attempt { execution_id: Uuid::nil(), number }
    }

    #[test]
    fn an_attempt_is_listed_as_long_as_its_guard_lives() {
        let in_flight = InFlight::default();
        let guard = in_flight.register(attempt(1));
        assert_eq!(in_flight.list(), [attempt(1)]);
        drop(guard);
        assert!(in_flight.list().is_empty());
    }

    #[test]
    fn dropping_a_stale_guard_keeps_the_new_one_listed() {
        let in_flight = InFlight::default();
        let (stale, new) = (in_flight.register(attempt(1)), in_flight.register(attempt(1)));
        drop(stale);
        assert_eq!(in_flight.list(), [attempt(1)]);
        in_flight.interrupt(attempt(1), Interruption::Fenced);
        assert_eq!(new.interruption(), Some(Interruption::Fenced));
    }

    #[test]
    fn the_first_interruption_reason_is_kept() {
        let in_flight = InFlight::default();
        let guard = in_flight.register(attempt(1));
        in_flight.interrupt_execution(Uuid::nil(), Interruption::Cancelled);
        in_flight.interrupt_all(Interruption::Drained);
        assert_eq!(guard.interruption(), Some(Interruption::Cancelled));
        assert!(guard.cancel_token().is_cancelled());
    }

    #[test]
    fn another_attempt_of_the_same_execution_is_left_alone() {
        let in_flight = InFlight::default();
        let (old, new) = (in_flight.register(attempt(1)), in_flight.register(attempt(2)));
        in_flight.interrupt(attempt(1), Interruption::Fenced);
        assert_eq!(old.interruption(), Some(Interruption::Fenced));
        assert_eq!(new.interruption(), None);
    }
}
