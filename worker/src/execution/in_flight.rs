//! The attempts this worker holds.
//!
//! Invariant: an attempt is listed exactly as long as its guard lives. What is not listed gets no heartbeat, so an
//! attempt whose task died is taken over by others when its lease runs out.

use super::settle::Interruption;
use crate::lease::Attempt;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// All held attempts.
#[derive(Debug, Default)]
pub struct Held {
    attempts: Mutex<HashMap<Attempt, Arc<Hold>>>,
}

/// What can happen to a held attempt from outside.
#[derive(Debug, Default)]
struct Hold {
    interruption: OnceLock<Interruption>,
    cancel: CancellationToken,
}

/// Keeps an attempt listed.
#[derive(Debug)]
pub struct Guard<'a> {
    held: &'a Held,
    attempt: Attempt,
    hold: Arc<Hold>,
}

impl Held {
    /// Lists an attempt that was just claimed.
    pub fn hold(&self, attempt: Attempt) -> Guard<'_> {
        let hold = Arc::new(Hold::default());
        self.lock().insert(attempt, Arc::clone(&hold));
        Guard { held: self, attempt, hold }
    }

    #[must_use]
    pub fn attempts(&self) -> Vec<Attempt> {
        self.lock().keys().copied().collect()
    }

    /// Ends one attempt's run.
    pub fn interrupt(&self, attempt: Attempt, why: Interruption) {
        if let Some(hold) = self.lock().get(&attempt) {
            hold.interrupt(why);
        }
    }

    /// Ends the run of an execution, if it runs here.
    pub fn interrupt_execution(&self, execution_id: Uuid, why: Interruption) {
        let holds = self.lock();
        let of_execution = holds.iter().filter(|(attempt, _)| attempt.execution_id == execution_id);
        of_execution.for_each(|(_, hold)| hold.interrupt(why));
    }

    /// Ends every run.
    pub fn interrupt_all(&self, why: Interruption) {
        self.lock().values().for_each(|hold| hold.interrupt(why));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Attempt, Arc<Hold>>> {
        // Every change is one insert or remove: a panic elsewhere leaves nothing half-made.
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hold {
    /// The first reason counts.
    fn interrupt(&self, why: Interruption) {
        if self.interruption.set(why).is_ok() {
            self.cancel.cancel();
        }
    }
}

impl Guard<'_> {
    /// Cancelled when the run has to end.
    #[must_use]
    pub fn cancel_token(&self) -> CancellationToken {
        self.hold.cancel.clone()
    }

    #[must_use]
    pub const fn attempt(&self) -> Attempt {
        self.attempt
    }

    /// Why the run was ended from outside, if it was.
    #[must_use]
    pub fn interruption(&self) -> Option<Interruption> {
        self.hold.interruption.get().copied()
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        let mut attempts = self.held.lock();
        // A claim that a crash of the server took back gives the number again.
        if attempts.get(&self.attempt).is_some_and(|hold| Arc::ptr_eq(hold, &self.hold)) {
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
        let held = Held::default();
        let guard = held.hold(attempt(1));
        assert_eq!(held.attempts(), [attempt(1)]);
        drop(guard);
        assert!(held.attempts().is_empty());
    }

    #[test]
    fn dropping_a_stale_guard_keeps_the_new_one_listed() {
        let held = Held::default();
        let (stale, new) = (held.hold(attempt(1)), held.hold(attempt(1)));
        drop(stale);
        assert_eq!(held.attempts(), [attempt(1)]);
        held.interrupt(attempt(1), Interruption::Fenced);
        assert_eq!(new.interruption(), Some(Interruption::Fenced));
    }

    #[test]
    fn the_first_reason_counts() {
        let held = Held::default();
        let guard = held.hold(attempt(1));
        held.interrupt_execution(Uuid::nil(), Interruption::Cancelled);
        held.interrupt_all(Interruption::Drained);
        assert_eq!(guard.interruption(), Some(Interruption::Cancelled));
        assert!(guard.cancel_token().is_cancelled());
    }

    #[test]
    fn another_attempt_of_the_same_execution_is_left_alone() {
        let held = Held::default();
        let (old, new) = (held.hold(attempt(1)), held.hold(attempt(2)));
        held.interrupt(attempt(1), Interruption::Fenced);
        assert_eq!(old.interruption(), Some(Interruption::Fenced));
        assert_eq!(new.interruption(), None);
    }
}
