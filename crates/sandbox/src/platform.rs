//! V8's process-wide state, and the codes this process exits with when V8 gives up.

use crate::{isolate::FreshIsolate, random};
use sandbox_protocol::{EXIT_FATAL, EXIT_OUT_OF_MEMORY};
use std::ffi::{c_char, c_int};

/// Flags of every isolate (docs/adr has the measurements).
///
/// Single-threaded: no helper threads, so the filter of system calls can forbid making any, and one thread's
/// processor time is the whole run's.
///
/// V8 adds its newest built-ins to every context, also to one that comes from a snapshot: what the runtime has
/// removed or replaced must not be put back.
const FLAGS: &str = "--single-threaded \
    --enable-sharedarraybuffer-per-context --no-js-atomics-pause --no-enable-queue-microtask";

/// Keeps glibc's allocator to one arena, whose memory grows and shrinks without a look at any file; and gives
/// what is large back to the kernel when it is freed. To be called before there is a second thread.
pub(super) fn configure_allocator() {
    const LARGE_BYTES: c_int = 128 * 1024;
    // SAFETY: plain settings; nothing else runs yet.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE_BYTES);
    }
}

/// Starts V8. Once per process.
pub(super) fn initialize() {
    v8::V8::set_flags_from_string(FLAGS);
    // V8's own source is a file, which is out of reach here; the fallback is the clock.
    v8::V8::set_entropy_source(random::fill);
    v8::V8::initialize_platform(v8::new_single_threaded_default_platform(false).make_shared());
    v8::V8::initialize();
    v8::V8::set_fatal_error_handler(on_fatal);
}

/// Makes V8 and ICU read now what they read once from the system: the time zone, locale data, random seeds.
pub(super) fn warm_up(fresh: &mut FreshIsolate) {
    const SCRIPT: &str = "new Date().getTimezoneOffset(); new Date().toLocaleString('en'); Math.random();
        new Intl.DateTimeFormat().resolvedOptions().timeZone; 'a'.localeCompare('b')";
    v8::scope!(let scope, &mut fresh.isolate);
    let context = v8::Local::new(scope, &fresh.context);
    let scope = &mut v8::ContextScope::new(scope, context);
    if let Some(source) = v8::String::new(scope, SCRIPT) {
        let _ = v8::Script::compile(scope, source, None).and_then(|script| script.run(scope));
    }
}

/// Ends the process at once: no destructors, no exit handlers.
pub(super) fn exit(code: c_int) -> ! {
    // SAFETY: ends the process; nothing is left to be unsafe.
    unsafe { libc::_exit(code) }
}

/// V8 found no memory for something it can't do without.
///
/// # Safety
/// None of the arguments is used; it never returns.
pub(super) unsafe extern "C" fn on_out_of_memory(_location: *const c_char, _details: &v8::OomDetails) {
    exit(EXIT_OUT_OF_MEMORY);
}

/// V8 found its own state impossible.
fn on_fatal(_file: &str, _line: c_int, message: &str) {
    // V8 has one entry for every impossibility; the size of an array, table or string that a script asked for
    // is among them, and only this text, fixed with the pinned V8, tells it apart.
    let too_large = message.starts_with("Fatal JavaScript invalid size error");
    exit(if too_large { EXIT_OUT_OF_MEMORY } else { EXIT_FATAL });
}
