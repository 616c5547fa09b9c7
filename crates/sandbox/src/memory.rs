//! Memory limit of one isolate, for heap and array buffers together.
//!
//! V8 notices a termination only when it is back in script, so the near-limit callback grants headroom until then. When
//! the headroom is used up, too, V8 fails and the process exits with a specific code (see `platform`).

use crate::{allocator::Buffers, termination::Termination};
use shared::execution::ErrorCode;
use std::{
    ffi::c_void,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

/// Growth of the heap that one step of headroom grants while a terminated script unwinds, in bytes.
const HEADROOM_STEP_BYTES: usize = 16 * 1024 * 1024;
/// Maximum number of steps of headroom.
const MAX_HEADROOM_STEPS: usize = 4;

/// Memory accounting of one isolate. Outlives the isolate, whose callbacks point to it.
pub(super) struct Memory {
    limit: usize,
    buffers: Arc<Buffers>,
    termination: Arc<Termination>,
    peak: AtomicUsize,
    steps: AtomicUsize,
}

impl Memory {
    pub(super) fn new(limit: usize, termination: Arc<Termination>) -> Arc<Self> {
        let buffers = Buffers::new(limit, Arc::clone(&termination));
        Arc::new(Self { limit, buffers, termination, peak: AtomicUsize::new(0), steps: AtomicUsize::new(0) })
    }

    pub(super) fn buffers(&self) -> &Arc<Buffers> {
        &self.buffers
    }

    /// Sets the callbacks. The caller must keep `self` alive until the isolate is dropped.
    pub(super) fn watch(self: &Arc<Self>, isolate: &mut v8::Isolate) {
        let data = Arc::as_ptr(self).cast_mut().cast::<c_void>();
        isolate.add_near_heap_limit_callback(near_heap_limit, data);
        isolate.add_gc_epilogue_callback(after_collection, data, v8::GCType::kGCTypeAll);
    }

    /// Measures the isolate and returns its peak memory so far, in bytes.
    pub(super) fn peak(&self, isolate: &mut v8::Isolate) -> usize {
        self.measure(isolate);
        self.peak.load(Ordering::Relaxed)
    }

    /// Measures the size of heap and buffers together, in bytes.
    fn measure(&self, isolate: &mut v8::Isolate) -> usize {
        let statistics = isolate.get_heap_statistics();
        let heap = statistics.used_heap_size();
        // Resizable buffers bypass the allocator, and V8 counts them here.
        let buffers = self.buffers.used().max(statistics.external_memory());
        let total = heap.saturating_add(buffers);
        self.peak.fetch_max(total, Ordering::Relaxed);
        self.buffers.allow(self.limit.saturating_sub(heap));
        total
    }
}

/// V8's callback before the heap is full: terminates the run and returns the temporary heap limit, in bytes.
///
/// # Safety
/// `data` is the `Memory` given to `Memory::watch`, which outlives the isolate.
unsafe extern "C" fn near_heap_limit(data: *mut c_void, current: usize, _initial: usize) -> usize {
    // SAFETY: `data` is the `Memory` given to `watch`, which outlives the isolate.
    let memory = unsafe { &*data.cast::<Memory>() };
    // V8 also calls this before it collects garbage for a refused buffer. Then the heap is not the problem.
    if memory.buffers.start_last_resort() {
        return current;
    }
    memory.termination.stop(ErrorCode::MemoryLimit);
    memory.peak.fetch_max(current.saturating_add(memory.buffers.used()), Ordering::Relaxed);
    if memory.steps.fetch_add(1, Ordering::Relaxed) < MAX_HEADROOM_STEPS {
        current.saturating_add(HEADROOM_STEP_BYTES)
    } else {
        current
    }
}

/// V8's callback after a collection: measures heap and buffers together.
///
/// # Safety
/// `isolate` is the live isolate it was set on, on its thread; `data` is the `Memory` given to `Memory::watch`.
unsafe extern "C" fn after_collection(
    isolate: v8::UnsafeRawIsolatePtr,
    kind: v8::GCType,
    _flags: v8::GCCallbackFlags,
    data: *mut c_void,
) {
    // SAFETY: V8 calls this with the live isolate it was set on, on that isolate's thread.
    let mut isolate = unsafe { v8::Isolate::from_raw_isolate_ptr(isolate) };
    // SAFETY: `data` is the `Memory` given to `watch`, which outlives the isolate.
    let memory = unsafe { &*data.cast::<Memory>() };
    let total = memory.measure(&mut isolate);
    // A scavenge does not free old garbage. Only after a full collection is the total the live memory.
    if kind == v8::GCType::kGCTypeMarkSweepCompact && total > memory.limit {
        memory.termination.stop(ErrorCode::MemoryLimit);
    }
}
