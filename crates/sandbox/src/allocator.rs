//! Counts what array buffers hold, and refuses what would go over the run's memory limit.
//!
//! Invariant: `used` is the sum of all live buffers of one isolate. V8 asks again after collecting garbage;
//! only a refusal after its last-resort collection is the limit, and ends the run.

use crate::termination::Halt;
use shared::execution::ErrorCode;
use std::{
    ffi::c_void,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

/// The buffers of one isolate.
pub(super) struct Buffers {
    limit: usize,
    used: AtomicUsize,
    /// What is left for buffers: the run's limit less the heap at the last collection.
    allowed: AtomicUsize,
    /// V8 was refused a buffer and is still collecting garbage to make room for it.
    pending: AtomicBool,
    last_resort: AtomicBool,
    refused: AtomicBool,
    halt: Arc<Halt>,
}

impl Buffers {
    pub(super) fn new(limit: usize, halt: Arc<Halt>) -> Arc<Self> {
        Arc::new(Self {
            limit,
            used: AtomicUsize::new(0),
            allowed: AtomicUsize::new(limit),
            pending: AtomicBool::new(false),
            last_resort: AtomicBool::new(false),
            refused: AtomicBool::new(false),
            halt,
        })
    }

    /// Bytes held by live buffers.
    pub(super) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// What buffers may hold from now on.
    pub(super) fn allow(&self, bytes: usize) {
        self.allowed.store(bytes, Ordering::Relaxed);
    }

    /// V8 begins its last-resort collection: whether for the sake of a buffer, whose next refusal is final.
    pub(super) fn note_last_resort(&self) -> bool {
        let for_buffer = self.pending.load(Ordering::Relaxed);
        self.last_resort.store(for_buffer, Ordering::Relaxed);
        for_buffer
    }

    /// Whether the last buffer asked for was refused for good.
    pub(super) fn refused_last(&self) -> bool {
        self.refused.load(Ordering::Relaxed)
    }

    fn reserve(&self, bytes: usize) -> bool {
        let used = self.used.load(Ordering::Relaxed);
        let fits = used.saturating_add(bytes) <= self.allowed.load(Ordering::Relaxed);
        let last = self.last_resort.swap(false, Ordering::Relaxed);
        self.pending.store(!fits && !last, Ordering::Relaxed);
        self.refused.store(!fits && last, Ordering::Relaxed);
        if fits {
            self.used.fetch_add(bytes, Ordering::Relaxed);
        } else if last && bytes <= self.limit {
            // One buffer over the whole limit is merely refused: a script may catch that, and nothing was lost.
            self.halt.stop(ErrorCode::MemoryLimit);
        }
        fits
    }

    fn release(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// An allocator for `v8::CreateParams` that keeps these counts.
    pub(super) fn allocator(self: &Arc<Self>) -> v8::UniqueRef<v8::Allocator> {
        // SAFETY: the handle is a strong reference, which `drop_handle` gives back; the vtable is made for
        // `Buffers` and is static.
        unsafe { v8::new_rust_allocator(Arc::into_raw(Arc::clone(self)), &VTABLE) }
    }
}

static VTABLE: v8::RustAllocatorVtable<Buffers> =
    v8::RustAllocatorVtable { allocate, allocate_uninitialized, free, drop: drop_handle };

/// Memory for a buffer, zeroed; null if it is refused.
///
/// # Safety
/// Only V8 calls it, through `VTABLE`, with the handle that `Buffers::allocator` gave it.
unsafe extern "C" fn allocate(buffers: &Buffers, bytes: usize) -> *mut c_void {
    if !buffers.reserve(bytes) {
        return std::ptr::null_mut();
    }
    // SAFETY: calloc has no preconditions; a length of zero is made one so that null always means failure.
    let data = unsafe { libc::calloc(bytes.max(1), 1) };
    if data.is_null() {
        buffers.release(bytes);
    }
    data
}

/// Memory for a buffer that V8 fills itself; null if it is refused.
///
/// # Safety
/// As `allocate`; nobody may read the bytes before they are written.
unsafe extern "C" fn allocate_uninitialized(buffers: &Buffers, bytes: usize) -> *mut c_void {
    if !buffers.reserve(bytes) {
        return std::ptr::null_mut();
    }
    // SAFETY: as in `allocate`.
    let data = unsafe { libc::malloc(bytes.max(1)) };
    if data.is_null() {
        buffers.release(bytes);
    }
    data
}

/// Takes a buffer's memory back.
///
/// # Safety
/// `data` is what `allocate` or `allocate_uninitialized` returned for `bytes`, and is freed once.
unsafe extern "C" fn free(buffers: &Buffers, data: *mut c_void, bytes: usize) {
    buffers.release(bytes);
    // SAFETY: V8 hands back what one of the two functions above returned, once.
    unsafe { libc::free(data) };
}

/// Gives back the reference that V8 holds.
///
/// # Safety
/// `buffers` comes from `Buffers::allocator`; called once, after which V8 uses it no more.
unsafe extern "C" fn drop_handle(buffers: *const Buffers) {
    // SAFETY: the reference that `Buffers::allocator` gave away, given back once.
    drop(unsafe { Arc::from_raw(buffers) });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_refusal_after_the_last_resort_ends_the_run() {
        let halt = Arc::new(Halt::default());
        let buffers = Buffers::new(100, Arc::clone(&halt));
        assert!(buffers.reserve(60));
        assert!(!buffers.reserve(60));
        assert_eq!(halt.reason(), None);
        assert!(buffers.note_last_resort());
        assert!(!buffers.reserve(60));
        assert_eq!(halt.reason(), Some(ErrorCode::MemoryLimit));
    }

    #[test]
    fn one_buffer_over_the_limit_is_refused_and_the_run_goes_on() {
        let halt = Arc::new(Halt::default());
        let buffers = Buffers::new(100, Arc::clone(&halt));
        assert!(!buffers.reserve(200));
        buffers.note_last_resort();
        assert!(!buffers.reserve(200));
        assert_eq!(halt.reason(), None);
        assert!(buffers.refused_last());
    }

    #[test]
    fn what_is_freed_can_be_used_again() {
        let buffers = Buffers::new(100, Arc::new(Halt::default()));
        assert!(buffers.reserve(100));
        buffers.release(100);
        assert!(!buffers.note_last_resort(), "no buffer waits for it");
        assert!(buffers.reserve(100));
        assert_eq!(buffers.used(), 100);
    }
}
