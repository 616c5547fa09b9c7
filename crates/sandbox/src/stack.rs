//! Stack traces and error positions in the author's text.
//!
//! V8 calls this code instead of `Error.prepareStackTrace`, so scripts cannot change stack traces. Frames of the
//! runtime and of code added by the builder are omitted.

use crate::{run_state::RunState, snapshot::RUNTIME_PREFIX, text};
use sandbox_protocol::MAX_ERROR_TEXT_UNITS;
use std::rc::Rc;

/// Private key of an error object that stores the author's position of its first frame.
const POSITION: &str = "runnerctl.position";

/// Maximum length of a line of a stack trace, in UTF-16 units.
const MAX_FRAME_UNITS: usize = 1024;

/// Description of a thrown value.
pub(super) struct ErrorDescription {
    pub(super) message: String,
    pub(super) stack: Option<String>,
    pub(super) line: Option<u32>,
    pub(super) column: Option<u32>,
    /// The value is a `RangeError`, as V8 throws it when it gets no memory for a buffer.
    pub(super) is_range_error: bool,
}

/// V8's callback that makes the `stack` of an error from its call sites.
pub(super) fn prepare_stack_trace<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    error: v8::Local<'s, v8::Value>,
    sites: v8::Local<'s, v8::Array>,
) -> v8::Local<'s, v8::Value> {
    let undefined = v8::undefined(scope).into();
    let Some(run) = scope.get_slot::<Rc<RunState>>().map(Rc::clone) else { return undefined };
    // V8's own view of the message, which does not run getters of the script.
    let header = v8::Exception::create_message(scope, error).get(scope);
    // Longer than any truncation of a console line or an error text: masking relies on knowing where those end.
    let max_units = run.limits().log_bytes.max(MAX_ERROR_TEXT_UNITS) + "Uncaught ".len() + 1;
    let header = text::bounded(scope, header, max_units);
    let mut lines = vec![header.strip_prefix("Uncaught ").unwrap_or(&header).to_owned()];
    let mut position = None;
    for index in 0..sites.length().min(200) {
        let Some(frame) = sites.get_index(scope, index).and_then(|site| frame(scope, site, &run)) else {
            continue;
        };
        position = position.or(frame.position);
        lines.push(format!("    at {}", frame.text));
    }
    if let (Some((line, column)), Ok(error)) = (position, error.try_cast::<v8::Object>()) {
        store_position(scope, error, line, column);
    }
    v8::String::new(scope, &lines.join("\n")).map_or(undefined, Into::into)
}

struct Frame {
    text: String,
    position: Option<(u32, u32)>,
}

/// Formats one call site as a line. `None` for code that the author did not write.
fn frame<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    site: v8::Local<'s, v8::Value>,
    run: &RunState,
) -> Option<Frame> {
    v8::tc_scope!(let scope, scope);
    let site = site.try_cast::<v8::Object>().ok()?;
    let text = call(scope, site, "toString")?.to_string(scope)?;
    // A text that ended inside a secret could not be masked.
    let text = if text.length() > MAX_FRAME_UNITS {
        format!("<a call with a name of {} characters>", text.length())
    } else {
        text::bounded(scope, text, MAX_FRAME_UNITS)
    };
    let name = call(scope, site, "getFileName")?;
    let Ok(name) = name.try_cast::<v8::String>() else {
        return Some(Frame { text, position: None });
    };
    let name = text::bounded(scope, name, 256);
    if name.starts_with(RUNTIME_PREFIX) {
        return None;
    }
    if !run.is_unit(&name) {
        return Some(Frame { text, position: None });
    }
    let line = call(scope, site, "getLineNumber")?.uint32_value(scope)?;
    let column = call(scope, site, "getColumnNumber")?.uint32_value(scope)?;
    let (at_line, at_column) = run.original(&name, line, column)?;
    let generated = format!("{name}:{line}:{column}");
    let original = format!("{name}:{at_line}:{at_column}");
    let text = match text.rfind(&generated) {
        Some(at) => format!("{}{original}{}", &text[..at], &text[at + generated.len()..]),
        None => format!("{text} ({original})"),
    };
    Some(Frame { text, position: Some((at_line, at_column)) })
}

/// Calls a method of a call site. Scripts cannot reach its prototype.
fn call<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    site: v8::Local<'s, v8::Object>,
    method: &str,
) -> Option<v8::Local<'s, v8::Value>> {
    let key = v8::String::new(scope, method)?.into();
    let method = site.get(scope, key)?.try_cast::<v8::Function>().ok()?;
    method.call(scope, site.into(), &[])
}

fn position_key<'s>(scope: &v8::PinScope<'s, '_>) -> Option<v8::Local<'s, v8::Private>> {
    let name = v8::String::new(scope, POSITION)?;
    Some(v8::Private::for_api(scope, Some(name)))
}

fn store_position(scope: &mut v8::PinScope<'_, '_>, error: v8::Local<v8::Object>, line: u32, column: u32) {
    if let Some(key) = position_key(scope) {
        let line = v8::Integer::new_from_unsigned(scope, line).into();
        let column = v8::Integer::new_from_unsigned(scope, column).into();
        let position = v8::Array::new_with_elements(scope, &[line, column]).into();
        error.set_private(scope, key, position);
    }
}

fn stored_position(scope: &mut v8::PinScope<'_, '_>, error: v8::Local<v8::Value>) -> Option<(u32, u32)> {
    let error = error.try_cast::<v8::Object>().ok()?;
    // Reading from a proxy would run its handler, and a proxy is not an error object.
    if error.is_proxy() {
        return None;
    }
    let key = position_key(scope)?;
    let position = error.get_private(scope, key)?.try_cast::<v8::Array>().ok()?;
    let line = position.get_index(scope, 0)?.uint32_value(scope)?;
    let column = position.get_index(scope, 1)?.uint32_value(scope)?;
    Some((line, column))
}

/// Describes a thrown value. May run getters of the script, so the run's deadline must still be active.
pub(super) fn describe(
    scope: &mut v8::PinScope<'_, '_>,
    host: v8::Local<v8::Object>,
    thrown: v8::Local<v8::Value>,
    run: &RunState,
) -> ErrorDescription {
    v8::tc_scope!(let scope, scope);
    let (message, stack) = from_runtime(scope, host, thrown).unwrap_or_default();
    let message = message.unwrap_or_else(|| "the script threw a value that can't be described".to_owned());
    let position = stored_position(scope, thrown).or_else(|| thrown_at(scope, thrown, run));
    let (line, column) = position.unzip();
    ErrorDescription {
        message,
        stack: stack.filter(|stack| !stack.is_empty()),
        line,
        column,
        is_range_error: is_range_error(scope, thrown),
    }
}

/// Returns whether a value is an error with the prototype of the original `RangeError`, even if the global was
/// replaced.
fn is_range_error(scope: &mut v8::PinScope<'_, '_>, thrown: v8::Local<v8::Value>) -> bool {
    let message = v8::String::empty(scope);
    let ours = v8::Exception::range_error(scope, message);
    let (Ok(theirs), Ok(ours)) = (thrown.try_cast::<v8::Object>(), ours.try_cast::<v8::Object>()) else {
        return false;
    };
    thrown.is_native_error() && theirs.get_prototype(scope) == ours.get_prototype(scope)
}

/// Calls `host.describeError(value)` → `{ message, stack }`.
fn from_runtime(
    scope: &mut v8::PinScope<'_, '_>,
    host: v8::Local<v8::Object>,
    thrown: v8::Local<v8::Value>,
) -> Option<(Option<String>, Option<String>)> {
    let key = v8::String::new(scope, "describeError")?.into();
    let describe = host.get(scope, key)?.try_cast::<v8::Function>().ok()?;
    let described = describe.call(scope, host.into(), &[thrown])?.try_cast::<v8::Object>().ok()?;
    let own = |name| -> Option<String> {
        let key = v8::String::new(scope, name)?.into();
        let text = described.get(scope, key)?.try_cast::<v8::String>().ok()?;
        Some(text::bounded(scope, text, MAX_ERROR_TEXT_UNITS))
    };
    Some((own("message"), own("stack")))
}

/// Returns the position at which V8 says a value was thrown, if it is in an author's text.
fn thrown_at(
    scope: &mut v8::PinScope<'_, '_>,
    thrown: v8::Local<v8::Value>,
    run: &RunState,
) -> Option<(u32, u32)> {
    let message = v8::Exception::create_message(scope, thrown);
    position(scope, message, run)
}

/// Converts the position of a message to the author's position.
pub(super) fn position(
    scope: &mut v8::PinScope<'_, '_>,
    message: v8::Local<v8::Message>,
    run: &RunState,
) -> Option<(u32, u32)> {
    let name = message.get_script_resource_name(scope)?.try_cast::<v8::String>().ok()?;
    let name = text::bounded(scope, name, 256);
    if !run.is_unit(&name) {
        return None;
    }
    let line = u32::try_from(message.get_line_number(scope)?).ok()?;
    let column = u32::try_from(message.get_start_column()).ok()?;
    run.original(&name, line, column.saturating_add(1))
}

/// V8's callback that records promises rejected without a handler.
///
/// # Safety
/// Only V8 calls it, on the isolate's thread, with a live message.
pub(super) unsafe extern "C" fn on_promise_reject(message: v8::PromiseRejectMessage<'_>) {
    if message.get_event() != v8::PromiseRejectEvent::PromiseRejectWithNoHandler {
        return;
    }
    // SAFETY: V8 calls this on the isolate's thread while the message is alive.
    v8::callback_scope!(unsafe scope, &message);
    if let Some(run) = scope.get_slot::<Rc<RunState>>().map(Rc::clone) {
        run.record_rejection(v8::Global::new(scope, message.get_promise()));
    }
}
