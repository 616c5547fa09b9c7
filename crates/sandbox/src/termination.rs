//! Why a run must stop. The first reason stands; it outranks whatever exception unwinding leaves behind.

use shared::execution::ErrorCode;
use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicU8, Ordering},
};

/// Shared by the thread that runs V8, the one that reads the socket, and V8's callbacks.
#[derive(Default)]
pub(super) struct Halt {
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

impl Halt {
    /// Points at the isolate of the next run and forgets the last one's reason.
    pub(super) fn arm(&self, isolate: v8::IsolateHandle) {
        *self.isolate.lock().unwrap_or_else(PoisonError::into_inner) = Some(isolate);
        self.reason.store(NONE, Ordering::SeqCst);
    }

    /// Points at another isolate for the same run; a reason already given holds for it too.
    pub(super) fn aim(&self, isolate: v8::IsolateHandle) {
        let mut aimed = self.isolate.lock().unwrap_or_else(PoisonError::into_inner);
        if self.reason().is_some() {
            isolate.terminate_execution();
        }
        *aimed = Some(isolate);
    }

    /// Stops whatever the isolate executes, as soon as V8 next looks.
    pub(super) fn stop(&self, code: ErrorCode) {
        let _ = self.reason.compare_exchange(NONE, encode(code), Ordering::SeqCst, Ordering::SeqCst);
        if let Some(isolate) = &*self.isolate.lock().unwrap_or_else(PoisonError::into_inner) {
            isolate.terminate_execution();
        }
    }

    /// Why the run must stop, if it must.
    pub(super) fn reason(&self) -> Option<ErrorCode> {
        decode(self.reason.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_reason_stands() {
        let halt = Halt::default();
        assert_eq!(halt.reason(), None);
        halt.stop(ErrorCode::MemoryLimit);
        halt.stop(ErrorCode::Timeout);
        assert_eq!(halt.reason(), Some(ErrorCode::MemoryLimit));
    }
}
