//! Termination of a run. The first reason is kept, and takes precedence over the exception that unwinding causes.

use shared::execution::ErrorCode;
use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicU8, Ordering},
};

/// Reason of termination, shared by the thread that runs V8, the thread that reads the socket, and V8's callbacks.
#[derive(Default)]
pub(super) struct Termination {
    reason: AtomicU8,
    isolate: Mutex<Option<v8::IsolateHandle>>,
}

const NONE: u8 = 0;

const fn encode(code: ErrorCode) -> u8 {
    match code {
        ErrorCode::Timeout => 1,
        ErrorCode::InitTimeout => 2,
        ErrorCode::MemoryLimit => 3,
        ErrorCode::Cancelled => 4,
        _ => 5,
    }
}

const fn decode(reason: u8) -> Option<ErrorCode> {
    match reason {
        NONE => None,
        1 => Some(ErrorCode::Timeout),
        2 => Some(ErrorCode::InitTimeout),
        3 => Some(ErrorCode::MemoryLimit),
        4 => Some(ErrorCode::Cancelled),
        _ => Some(ErrorCode::SandboxCrashed),
    }
}

impl Termination {
    /// Sets the isolate of the next run and clears the reason of the last run.
    pub(super) fn arm(&self, isolate: v8::IsolateHandle) {
        *self.isolate.lock().unwrap_or_else(PoisonError::into_inner) = Some(isolate);
        self.reason.store(NONE, Ordering::SeqCst);
    }

    /// Sets another isolate for the same run. An existing reason terminates it, too.
    pub(super) fn retarget(&self, isolate: v8::IsolateHandle) {
        let mut current = self.isolate.lock().unwrap_or_else(PoisonError::into_inner);
        if self.reason().is_some() {
            isolate.terminate_execution();
        }
        *current = Some(isolate);
    }

    /// Terminates the execution in the isolate, at V8's next interrupt check.
    pub(super) fn stop(&self, code: ErrorCode) {
        let _ = self.reason.compare_exchange(NONE, encode(code), Ordering::SeqCst, Ordering::SeqCst);
        if let Some(isolate) = &*self.isolate.lock().unwrap_or_else(PoisonError::into_inner) {
            isolate.terminate_execution();
        }
    }

    /// Returns the reason, if the run must stop.
    pub(super) fn reason(&self) -> Option<ErrorCode> {
        decode(self.reason.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_termination_reason_is_kept() {
        let termination = Termination::default();
        assert_eq!(termination.reason(), None);
        termination.stop(ErrorCode::MemoryLimit);
        termination.stop(ErrorCode::Timeout);
        assert_eq!(termination.reason(), Some(ErrorCode::MemoryLimit));
    }
}
