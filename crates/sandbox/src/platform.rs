//! Process-wide state of V8, and the exit codes of this process for V8's fatal errors.

use crate::random;
use sandbox_protocol::{EXIT_FATAL, EXIT_OUT_OF_MEMORY};
use std::ffi::{c_char, c_int};

/// V8 flags of every isolate (docs/adr has the measurements).
///
/// Single-threaded: without helper threads, the system call filter can forbid new threads, and the processor time of
/// one thread is that of the whole run.
///
/// V8 adds its newest built-ins to every context, even to one from a snapshot. The flags keep it from restoring those
/// that the runtime has removed or replaced.
const FLAGS: &str = "--single-threaded \
    --enable-sharedarraybuffer-per-context --no-js-atomics-pause --no-enable-queue-microtask";

/// Limits glibc's allocator to one arena, whose memory grows and shrinks without reading files, and returns large
/// allocations to the kernel when they are freed. Call it before there is a second thread.
pub(super) fn configure_allocator() {
    const LARGE_BYTES: c_int = 128 * 1024;
    // SAFETY: only sets options; no other thread runs yet.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE_BYTES);
    }
}

/// Starts V8. Call it once per process.
pub(super) fn initialize() {
    v8::V8::set_flags_from_string(FLAGS);
    // V8's own entropy source is a file, which is not accessible here, and its fallback is the clock.
    v8::V8::set_entropy_source(random::fill);
    v8::V8::initialize_platform(v8::new_single_threaded_default_platform(false).make_shared());
    v8::V8::initialize();
    v8::V8::set_fatal_error_handler(on_fatal);
}

/// Exits the process immediately, without destructors and exit handlers.
pub(super) fn exit(code: c_int) -> ! {
    // SAFETY: ends the process, so no code runs after it.
    unsafe { libc::_exit(code) }
}

/// V8's callback for a failed allocation that it cannot recover from.
///
/// # Safety
/// The arguments are not used, and it never returns.
pub(super) unsafe extern "C" fn on_out_of_memory(_location: *const c_char, _details: &v8::OomDetails) {
    exit(EXIT_OUT_OF_MEMORY);
}

/// V8's callback for a fatal error.
fn on_fatal(_file: &str, _line: c_int, message: &str) {
    // V8 has one callback for all fatal errors, including an impossible size of an array, table or string that a
    // script requested. Only this text, fixed by the pinned version of V8, identifies that one.
    let too_large = message.starts_with("Fatal JavaScript invalid size error");
    exit(if too_large { EXIT_OUT_OF_MEMORY } else { EXIT_FATAL });
}
