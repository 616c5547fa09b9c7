//! Rows that waited when the relay last read the outbox, and the events that let it read again. Pure.
//!
//! A read costs as much as a claim. While the broker's window is full, the relay therefore waits for as many changes as
//! half of the window has places. About half of them are claims, so three quarters of the messages are still there.
//! The window is at least twice the slots of the workers, so every slot finds a message.

use crate::db::outbox::Rest;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// State of the outbox when the relay last read it. Shared by the tasks of a process.
#[derive(Debug, Default)]
pub(super) struct LastRead(Mutex<State>);

#[derive(Debug, Default)]
enum State {
    /// No row was due.
    #[default]
    Clear,
    /// Rows are due, but their workspaces run as many executions as they may.
    Limited,
    /// Rows are due, but the broker holds enough messages.
    WindowFull {
        /// Number of changes of executions until the relay reads again.
        changes_left: i64,
    },
}

impl LastRead {
    /// Records what the relay found.
    pub(super) fn set(&self, rest: Rest) {
        *self.lock() = match rest {
            Rest::Nothing | Rest::DueIn(_) => State::Clear,
            Rest::Limited => State::Limited,
            // Of the changes of an execution, one in two is a claim.
            Rest::WindowFull(size) => State::WindowFull { changes_left: size / 2 },
        };
    }

    /// Returns true if rows were due.
    pub(super) fn is_waiting(&self) -> bool {
        !matches!(*self.lock(), State::Clear)
    }

    /// Counts a change of an execution. Returns true if the relay is to read the outbox.
    pub(super) fn count_change(&self) -> bool {
        match &mut *self.lock() {
            State::Clear => false,
            State::Limited => true,
            State::WindowFull { changes_left } => {
                *changes_left -= 1;
                *changes_left <= 0
            }
        }
    }

    /// Returns true if a row that was just written may be published now.
    pub(super) fn admits_new_rows(&self) -> bool {
        !matches!(*self.lock(), State::WindowFull { .. })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change is one assignment, so a panic leaves no half-made change behind.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn backlog(rest: Rest) -> LastRead {
        let backlog = LastRead::default();
        backlog.set(rest);
        backlog
    }

    #[test]
    fn without_due_rows_only_new_rows_wake_the_relay() {
        for rest in [Rest::Nothing, Rest::DueIn(Duration::from_secs(1))] {
            let backlog = backlog(rest);
            assert!(!backlog.is_waiting() && !backlog.count_change() && backlog.admits_new_rows());
        }
    }

    #[test]
    fn a_full_window_is_refilled_after_half_as_many_changes() {
        let backlog = backlog(Rest::WindowFull(8));
        assert!(backlog.is_waiting() && !backlog.admits_new_rows());
        assert_eq!([(); 5].map(|()| backlog.count_change()), [false, false, false, true, true]);
    }

    #[test]
    fn a_limit_of_a_workspace_is_checked_after_each_change() {
        let backlog = backlog(Rest::Limited);
        assert!(backlog.is_waiting() && backlog.count_change() && backlog.admits_new_rows());
    }
}
