//! Allocator of array buffers that counts their memory and enforces the run's memory limit.
//!
//! Invariant: `used` is the total size of all live buffers of one isolate. V8 repeats a refused allocation after
//! garbage collection. Only a refusal after its last-resort collection means that the limit is reached, and ends the
//! run.

use crate::termination::Termination;
use shared::execution::ErrorCode;
use std::{
    ffi::c_void,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

/// Buffer memory of one isolate.
pub(super) struct Buffers {
    limit: usize,
    used: AtomicUsize,
    /// Maximum total size of buffers, in bytes: the run's limit minus the heap size at the last collection.
    allowed: AtomicUsize,
    /// An allocation was refused, and V8 is collecting garbage to repeat it.
    pending: AtomicBool,
    last_resort: AtomicBool,
    refused: AtomicBool,
    termination: Arc<Termination>,
}

impl Buffers {
    pub(super) fn new(limit: usize, termination: Arc<Termination>) -> Arc<Self> {
        Arc::new(Self {
            limit,
            used: AtomicUsize::new(0),
            allowed: AtomicUsize::new(limit),
            pending: AtomicBool::new(false),
            last_resort: AtomicBool::new(false),
            refused: AtomicBool::new(false),
            termination,
        })
    }

    /// Returns the total size of live buffers, in bytes.
    pub(super) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// Sets the maximum total size of buffers.
    pub(super) fn allow(&self, bytes: usize) {
        self.allowed.store(bytes, Ordering::Relaxed);
    }

    /// Records the start of V8's last-resort collection. Returns whether it is for a buffer, whose next refusal is
    /// final.
    pub(super) fn start_last_resort(&self) -> bool {
        let for_buffer = self.pending.load(Ordering::Relaxed);
        self.last_resort.store(for_buffer, Ordering::Relaxed);
        for_buffer
    }

    /// Returns whether the last allocation was finally refused.
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
            // A single buffer over the whole limit is only refused: a script may catch that exception and continue.
            self.termination.stop(ErrorCode::MemoryLimit);
        }
        fits
    }

    fn release(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Makes an allocator for `v8::CreateParams` that keeps these counts.
    pub(super) fn allocator(self: &Arc<Self>) -> v8::UniqueRef<v8::Allocator> {
        // SAFETY: the handle is a strong reference, which `drop_handle` releases; the vtable is made for `Buffers` and
        // is static.
        unsafe { v8::new_rust_allocator(Arc::into_raw(Arc::clone(self)), &VTABLE) }
    }
}

static VTABLE: v8::RustAllocatorVtable<Buffers> =
    v8::RustAllocatorVtable { allocate, allocate_uninitialized, free, drop: drop_handle };

/// Allocates zeroed memory for a buffer. Null if it is refused.
///
/// # Safety
/// Only V8 calls it, through `VTABLE`, with the handle from `Buffers::allocator`.
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

/// Allocates uninitialised memory for a buffer that V8 fills. Null if it is refused.
///
/// # Safety
/// The conditions of `allocate` apply. The bytes must not be read before they are written.
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

/// Frees the memory of a buffer.
///
/// # Safety
/// `data` was returned by `allocate` or `allocate_uninitialized` for `bytes`, and is freed only once.
unsafe extern "C" fn free(buffers: &Buffers, data: *mut c_void, bytes: usize) {
    buffers.release(bytes);
    // SAFETY: V8 passes a pointer that one of the two functions above returned, and only once.
    unsafe { libc::free(data) };
}

/// Releases the reference that V8 holds.
///
/// # Safety
/// `buffers` is the handle from `Buffers::allocator`. Called once, after which V8 does not use it any more.
unsafe extern "C" fn drop_handle(buffers: *const Buffers) {
    // SAFETY: releases the reference from `Buffers::allocator`, only once.
    drop(unsafe { Arc::from_raw(buffers) });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_ends_only_at_a_refusal_after_garbage_collection() {
        let termination = Arc::new(Termination::default());
        let buffers = Buffers::new(100, Arc::clone(&termination));
        assert!(buffers.reserve(60));
        assert!(!buffers.reserve(60));
        assert_eq!(termination.reason(), None);
        assert!(buffers.start_last_resort());
        assert!(!buffers.reserve(60));
        assert_eq!(termination.reason(), Some(ErrorCode::MemoryLimit));
    }

    #[test]
    fn a_buffer_over_the_limit_is_refused_and_the_run_continues() {
        let termination = Arc::new(Termination::default());
        let buffers = Buffers::new(100, Arc::clone(&termination));
        assert!(!buffers.reserve(200));
        buffers.start_last_resort();
        assert!(!buffers.reserve(200));
        assert_eq!(termination.reason(), None);
        assert!(buffers.refused_last());
    }

    #[test]
    fn freed_buffer_memory_can_be_reserved_again() {
        let buffers = Buffers::new(100, Arc::new(Termination::default()));
        assert!(buffers.reserve(100));
        buffers.release(100);
        assert!(!buffers.start_last_resort(), "no buffer waits for it");
        assert!(buffers.reserve(100));
        assert_eq!(buffers.used(), 100);
    }
}
