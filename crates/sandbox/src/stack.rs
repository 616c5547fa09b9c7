//! Stack traces and error positions in the author's own coordinates.
//!
//! V8 asks this code, not `Error.prepareStackTrace`, so no script shapes what is recorded. Frames of the
//! runtime and of code the builder added are left out.

use crate::{run_state::Run, snapshot::RUNTIME_PREFIX, text};
use sandbox_protocol::LONGEST_ERROR_TEXT;
use std::rc::Rc;

/// The private key under which an error object keeps its first author's position.
const POSITION: &str = "runnerctl.position";

/// What is told of a value that was thrown.
pub(super) struct Described {
    pub(super) message: String,
    pub(super) stack: Option<String>,
    pub(super) line: Option<u32>,
    pub(super) column: Option<u32>,
    /// What V8 throws when it gets no memory for a buffer.
    pub(super) is_range_error: bool,
}

/// V8's callback: makes the `stack` of an error from its call sites.
pub(super) fn prepare_stack_trace<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    error: v8::Local<'s, v8::Value>,
    sites: v8::Local<'s, v8::Array>,
) -> v8::Local<'s, v8::Value> {
    let undefined = v8::undefined(scope).into();
    let Some(run) = scope.get_slot::<Rc<Run>>().map(Rc::clone) else { return undefined };
    // The message as V8 sees it, without running a script's getters.
    let header = v8::Exception::create_message(scope, error).get(scope);
    // Never the place where a console line or an error's text is cut: both are masked knowing that they end there.
    let longest = run.limits().log_bytes.max(LONGEST_ERROR_TEXT) + "Uncaught ".len() + 1;
    let header = text::bounded(scope, header, longest);
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
        remember(scope, error, line, column);
    }
    v8::String::new(scope, &lines.join("\n")).map_or(undefined, Into::into)
}

struct Frame {
    text: String,
    position: Option<(u32, u32)>,
}

/// One call site as a line; `None` for what no author wrote.
fn frame<'s>(scope: &mut v8::PinScope<'s, '_>, site: v8::Local<'s, v8::Value>, run: &Run) -> Option<Frame> {
    v8::tc_scope!(let scope, scope);
    let site = site.try_cast::<v8::Object>().ok()?;
    let text = call(scope, site, "toString")?.to_string(scope)?;
    let text = text::bounded(scope, text, 1024);
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

/// Calls a method of a call site; scripts have no way to their prototype.
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

fn remember(scope: &mut v8::PinScope<'_, '_>, error: v8::Local<v8::Object>, line: u32, column: u32) {
    if let Some(key) = position_key(scope) {
        let line = v8::Integer::new_from_unsigned(scope, line).into();
        let column = v8::Integer::new_from_unsigned(scope, column).into();
        let position = v8::Array::new_with_elements(scope, &[line, column]).into();
        error.set_private(scope, key, position);
    }
}

fn remembered(scope: &mut v8::PinScope<'_, '_>, error: v8::Local<v8::Value>) -> Option<(u32, u32)> {
    let error = error.try_cast::<v8::Object>().ok()?;
    // A proxy would answer with its handler; it is no error object.
    if error.is_proxy() {
        return None;
    }
    let key = position_key(scope)?;
    let position = error.get_private(scope, key)?.try_cast::<v8::Array>().ok()?;
    let line = position.get_index(scope, 0)?.uint32_value(scope)?;
    let column = position.get_index(scope, 1)?.uint32_value(scope)?;
    Some((line, column))
}

/// Describes a thrown value. May run the script's own getters, so the run's deadline must still hold.
pub(super) fn describe(
    scope: &mut v8::PinScope<'_, '_>,
    host: v8::Local<v8::Object>,
    thrown: v8::Local<v8::Value>,
    run: &Run,
) -> Described {
    v8::tc_scope!(let scope, scope);
    let (message, stack) = from_runtime(scope, host, thrown).unwrap_or_default();
    let message = message.unwrap_or_else(|| "the script threw a value that can't be described".to_owned());
    let position = remembered(scope, thrown).or_else(|| thrown_at(scope, thrown, run));
    let (line, column) = position.unzip();
    Described {
        message,
        stack: stack.filter(|stack| !stack.is_empty()),
        line,
        column,
        is_range_error: is_range_error(scope, thrown),
    }
}

/// Whether a value is an error whose prototype is that of `RangeError`, whatever the global of that name is now.
fn is_range_error(scope: &mut v8::PinScope<'_, '_>, thrown: v8::Local<v8::Value>) -> bool {
    let message = v8::String::empty(scope);
    let ours = v8::Exception::range_error(scope, message);
    let (Ok(theirs), Ok(ours)) = (thrown.try_cast::<v8::Object>(), ours.try_cast::<v8::Object>()) else {
        return false;
    };
    thrown.is_native_error() && theirs.get_prototype(scope) == ours.get_prototype(scope)
}

/// `host.describeError(value)` → `{ message, stack }`.
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
        Some(text::bounded(scope, text, LONGEST_ERROR_TEXT))
    };
    Some((own("message"), own("stack")))
}

/// Where V8 says a value was thrown, if that is in an author's text.
fn thrown_at(
    scope: &mut v8::PinScope<'_, '_>,
    thrown: v8::Local<v8::Value>,
    run: &Run,
) -> Option<(u32, u32)> {
    let message = v8::Exception::create_message(scope, thrown);
    position(scope, message, run)
}

/// The author's position of a message.
pub(super) fn position(
    scope: &mut v8::PinScope<'_, '_>,
    message: v8::Local<v8::Message>,
    run: &Run,
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

/// V8's callback: remembers promises that nobody waits for.
///
/// # Safety
/// Only V8 calls it, on the isolate's thread, with a message that is alive.
pub(super) unsafe extern "C" fn on_promise_reject(message: v8::PromiseRejectMessage<'_>) {
    if message.get_event() != v8::PromiseRejectEvent::PromiseRejectWithNoHandler {
        return;
    }
    // SAFETY: V8 calls this on the isolate's thread while the message is alive.
    v8::callback_scope!(unsafe scope, &message);
    if let Some(run) = scope.get_slot::<Rc<Run>>().map(Rc::clone) {
        run.note_rejection(v8::Global::new(scope, message.get_promise()));
    }
}
