//! The memory limit of one isolate: heap and array buffers together.
//!
//! V8 notices termination only back in script, so the near-limit callback grants headroom to get there; when
//! that is used up too, V8 gives up and the process exits with a code of its own (see `platform`).

use crate::{allocator::Buffers, termination::Halt};
use shared::execution::ErrorCode;
use std::{
    ffi::c_void,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

/// How much further the heap may grow, in steps, while a terminated script unwinds.
const HEADROOM_STEP: usize = 16 * 1024 * 1024;
const HEADROOM_STEPS: usize = 4;

/// Watches one isolate's memory; outlives the isolate that points at it.
pub(super) struct Memory {
    limit: usize,
    buffers: Arc<Buffers>,
    halt: Arc<Halt>,
    peak: AtomicUsize,
    steps: AtomicUsize,
}

impl Memory {
    pub(super) fn new(limit: usize, halt: Arc<Halt>) -> Arc<Self> {
        let buffers = Buffers::new(limit, Arc::clone(&halt));
        Arc::new(Self { limit, buffers, halt, peak: AtomicUsize::new(0), steps: AtomicUsize::new(0) })
    }

    pub(super) fn buffers(&self) -> &Arc<Buffers> {
        &self.buffers
    }

    /// Sets the callbacks. The caller keeps `self` alive until the isolate is gone.
    pub(super) fn watch(self: &Arc<Self>, isolate: &mut v8::Isolate) {
        let data = Arc::as_ptr(self).cast_mut().cast::<c_void>();
        isolate.add_near_heap_limit_callback(near_heap_limit, data);
        isolate.add_gc_epilogue_callback(after_collection, data, v8::GCType::kGCTypeAll);
    }

    /// Takes the isolate's present size into account and returns the largest one seen, in bytes.
    pub(super) fn peak(&self, isolate: &mut v8::Isolate) -> usize {
        self.note(isolate);
        self.peak.load(Ordering::Relaxed)
    }

    /// Heap and buffers together after a look at the heap.
    fn note(&self, isolate: &mut v8::Isolate) -> usize {
        let statistics = isolate.get_heap_statistics();
        let heap = statistics.used_heap_size();
        // Resizable buffers pass the allocator by; V8 counts them here.
        let buffers = self.buffers.used().max(statistics.external_memory());
        let total = heap.saturating_add(buffers);
        self.peak.fetch_max(total, Ordering::Relaxed);
        self.buffers.allow(self.limit.saturating_sub(heap));
        total
    }
}

/// V8's callback before the heap is full: ends the run, and says how large the heap may be meanwhile, in bytes.
///
/// # Safety
/// `data` is the `Memory` given to `Memory::watch`, which outlives the isolate.
unsafe extern "C" fn near_heap_limit(data: *mut c_void, current: usize, _initial: usize) -> usize {
    // SAFETY: `data` is the `Memory` given to `watch`, which outlives the isolate.
    let memory = unsafe { &*data.cast::<Memory>() };
    // V8 also asks here before it collects for a buffer that was refused; then the heap is not the matter.
    if memory.buffers.note_last_resort() {
        return current;
    }
    memory.halt.stop(ErrorCode::MemoryLimit);
    memory.peak.fetch_max(current.saturating_add(memory.buffers.used()), Ordering::Relaxed);
    if memory.steps.fetch_add(1, Ordering::Relaxed) < HEADROOM_STEPS {
        current.saturating_add(HEADROOM_STEP)
    } else {
        current
    }
}

/// V8's callback after a collection: looks at heap and buffers together.
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
    let total = memory.note(&mut isolate);
    // A scavenge leaves old garbage uncounted for; only after a full collection is the sum what is live.
    if kind == v8::GCType::kGCTypeMarkSweepCompact && total > memory.limit {
        memory.halt.stop(ErrorCode::MemoryLimit);
    }
}
