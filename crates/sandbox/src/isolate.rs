//! Fresh isolate from the startup snapshot, prepared before its job arrives. Every run has its own.

use crate::{memory::Memory, ops, platform, snapshot, stack, termination::Termination};
use std::sync::Arc;

/// Isolate of one run. Never reused, and never resumed after termination.
pub(super) struct FreshIsolate {
    // Fields are dropped in this order: handles before their isolate, the isolate before the data of its callbacks.
    pub(super) context: v8::Global<v8::Context>,
    /// Object returned by the runtime's bootstrap. Scripts cannot reach it.
    pub(super) host: v8::Global<v8::Object>,
    pub(super) isolate: v8::OwnedIsolate,
    pub(super) memory: Arc<Memory>,
    memory_bytes: usize,
}

/// Error of a snapshot that this binary did not make.
#[derive(Debug, thiserror::Error)]
#[error("the startup snapshot does not contain the runtime")]
pub(super) struct MissingRuntime;

impl FreshIsolate {
    /// Makes an isolate of at most `memory_bytes`, heap and array buffers together.
    pub(super) fn new(
        blob: &'static [u8],
        memory_bytes: usize,
        termination: &Arc<Termination>,
    ) -> Result<Self, MissingRuntime> {
        let memory = Memory::new(memory_bytes, Arc::clone(termination));
        let params = v8::Isolate::create_params()
            .snapshot_blob(blob.into())
            .external_references(ops::external_references().into())
            .array_buffer_allocator(memory.buffers().allocator())
            .allow_atomics_wait(false)
            .heap_limits(0, memory_bytes);
        let mut isolate = v8::Isolate::new(params);
        isolate.set_oom_error_handler(platform::on_out_of_memory);
        isolate.set_microtasks_policy(v8::MicrotasksPolicy::Explicit);
        isolate.set_prepare_stack_trace_callback(stack::prepare_stack_trace);
        isolate.set_promise_reject_callback(stack::on_promise_reject);
        memory.watch(&mut isolate);
        let (context, host) = {
            v8::scope!(let scope, &mut isolate);
            let options = v8::ContextOptions::default();
            let context =
                v8::Context::from_snapshot(scope, snapshot::CONTEXT, options).ok_or(MissingRuntime)?;
            context.set_allow_generation_from_strings(false);
            let scope = &mut v8::ContextScope::new(scope, context);
            remove_globals(scope, context);
            let host = scope
                .get_context_data_from_snapshot_once::<v8::Object>(snapshot::HOST)
                .map_err(|_absent| MissingRuntime)?;
            (v8::Global::new(scope, context), v8::Global::new(scope, host))
        };
        Ok(Self { context, host, isolate, memory, memory_bytes })
    }

    /// Returns the memory limit of the isolate, in bytes.
    pub(super) fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }
}

/// Removes built-ins that the script contract excludes and that some builds of V8 add to a restored context.
fn remove_globals(scope: &mut v8::PinScope<'_, '_>, context: v8::Local<v8::Context>) {
    let global = context.global(scope);
    for name in ["WebAssembly", "SharedArrayBuffer", "Atomics"] {
        if let Some(key) = v8::String::new(scope, name) {
            global.delete(scope, key.into());
        }
    }
}
