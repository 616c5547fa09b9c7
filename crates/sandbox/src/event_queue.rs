//! Queue of events from the thread that reads the socket to the thread that runs V8.

use sandbox_protocol::{FetchAnswer, Job};
use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Message of the supervisor that only the V8 thread can handle.
pub(super) enum SandboxEvent {
    Execute(Box<Job>),
    SendBody { id: u32 },
    FetchDone { id: u32, answer: FetchAnswer, body: Vec<u8> },
}

/// Result of waiting for an event.
pub(super) enum WaitResult {
    Event(SandboxEvent),
    /// The time was reached, or [`EventQueue::wake`] was called.
    NoEvent,
}

/// Queue of events. The protocol bounds it: the supervisor sends one job, then at most one response and one request for
/// the body per accepted fetch.
#[derive(Default)]
pub(super) struct EventQueue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    queue: VecDeque<SandboxEvent>,
    woken: bool,
}

impl EventQueue {
    pub(super) fn push(&self, delivery: SandboxEvent) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).queue.push_back(delivery);
        self.changed.notify_one();
    }

    /// Ends a wait without an event.
    pub(super) fn wake(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).woken = true;
        self.changed.notify_one();
    }

    /// Waits for an event, for the time `until`, or for a call of [`EventQueue::wake`].
    pub(super) fn wait(&self, until: Option<Instant>) -> WaitResult {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(delivery) = state.queue.pop_front() {
                return WaitResult::Event(delivery);
            }
            if std::mem::take(&mut state.woken) {
                return WaitResult::NoEvent;
            }
            let rest = until.map(|until| until.saturating_duration_since(Instant::now()));
            state = match rest {
                Some(Duration::ZERO) => return WaitResult::NoEvent,
                Some(rest) => {
                    self.changed.wait_timeout(state, rest).unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }
}
