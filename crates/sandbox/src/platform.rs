//! Process-wide state of V8, and the exit codes of this process for V8's fatal errors.

use crate::{isolate::FreshIsolate, random};
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

/// Makes V8 and ICU read the data that they read once from the system: time zone and locale data.
///
/// The script leaves nothing behind. It does not call `Math.random`, whose state in the context copies of a template would
/// share.
pub(super) fn warm_up(fresh: &mut FreshIsolate) {
    const SCRIPT: &str = "new Date().getTimezoneOffset(); new Date().toLocaleString('en');
        new Intl.DateTimeFormat().resolvedOptions().timeZone; 'a'.localeCompare('b')";
    v8::scope!(let scope, &mut fresh.isolate);
    let context = v8::Local::new(scope, &fresh.context);
    let scope = &mut v8::ContextScope::new(scope, context);
    let _ = evaluate(scope, SCRIPT);
}

/// Makes what every run makes once more, and then drops it: the globals on an object of their own, a build, its `main`
/// and its result. Copies of a template find its code compiled and its memory mapped.
pub(super) fn rehearse(fresh: &mut FreshIsolate) {
    const MAIN: &str =
        "(async function main({ event }, { Variables }) { await null; return { event, Variables }; })";
    const SETTINGS: &str = r#"{"ENV":{"a":"b"},"Variables":{"a":1},"workspaceSlug":"w","Functions":{},"apiBaseUrl":"http://a.invalid","executionId":"","timeoutMs":0}"#;
    const INPUT: &str = r#"{"event":{"a":[1,"b"]},"context":{}}"#;
    v8::scope!(let scope, &mut fresh.isolate);
    let context = v8::Local::new(scope, &fresh.context);
    let host = v8::Local::new(scope, &fresh.host);
    let scope = &mut v8::ContextScope::new(scope, context);
    // A failure is one of every run as well, which reports it.
    let _ = (|| {
        let globals = v8::Object::new(scope).into();
        let settings = json(scope, SETTINGS)?;
        let start = v8::String::new(scope, "start")?;
        let start = host.get(scope, start.into())?.try_cast::<v8::Function>().ok()?;
        let env = start.call(scope, host.into(), &[settings, globals])?;
        let input = json(scope, INPUT)?;
        let main = evaluate(scope, MAIN)?.try_cast::<v8::Function>().ok()?;
        let undefined = v8::undefined(scope).into();
        let promise = main.call(scope, undefined, &[input, env])?.try_cast::<v8::Promise>().ok()?;
        scope.perform_microtask_checkpoint();
        let result = promise.result(scope);
        v8::json::stringify(scope, result)
    })();
}

fn json<'s>(scope: &mut v8::PinScope<'s, '_>, text: &str) -> Option<v8::Local<'s, v8::Value>> {
    let text = v8::String::new(scope, text)?;
    v8::json::parse(scope, text)
}

fn evaluate<'s>(scope: &mut v8::PinScope<'s, '_>, source: &str) -> Option<v8::Local<'s, v8::Value>> {
    let source = v8::String::new(scope, source)?;
    v8::Script::compile(scope, source, None)?.run(scope)
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
