//! What the reading thread hands to the thread that runs V8.

use sandbox_protocol::{FetchAnswer, Job};
use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Something the supervisor sent that only the V8 thread can act on.
pub(super) enum Delivery {
    Execute(Box<Job>),
    FetchDone { id: u32, answer: FetchAnswer },
}

/// What waiting ended with.
pub(super) enum Waited {
    Delivered(Delivery),
    /// The moment came, or somebody called [`Inbox::wake`].
    Woken,
}

/// Bounded by the protocol: the supervisor sends one job, then at most one answer per fetch it accepted.
#[derive(Default)]
pub(super) struct Inbox {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Delivery>,
    woken: bool,
}

impl Inbox {
    pub(super) fn push(&self, delivery: Delivery) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).queue.push_back(delivery);
        self.changed.notify_one();
    }

    /// Ends a wait without a delivery.
    pub(super) fn wake(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).woken = true;
        self.changed.notify_one();
    }

    /// Waits for a delivery, for `until`, or for a call of [`Inbox::wake`].
    pub(super) fn wait(&self, until: Option<Instant>) -> Waited {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(delivery) = state.queue.pop_front() {
                return Waited::Delivered(delivery);
            }
            if std::mem::take(&mut state.woken) {
                return Waited::Woken;
            }
            let rest = until.map(|until| until.saturating_duration_since(Instant::now()));
            state = match rest {
                Some(Duration::ZERO) => return Waited::Woken,
                Some(rest) => {
                    self.changed.wait_timeout(state, rest).unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }
}
