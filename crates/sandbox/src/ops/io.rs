//! Native functions for console lines, timers, fetches and the clock.

use super::throw_type_error;
use crate::{request_body::RequestBody, run_state::RunState, text};
use sandbox_protocol::{FetchRequest, FromSandbox, Redirect};
use shared::execution::LogLevel;
use std::{rc::Rc, time::Duration};

/// Maximum length of a method, URL, header name and header value, in UTF-16 units.
const MAX_TEXT_UNITS: usize = 64 * 1024;
/// Maximum number of header names and values of a request together.
const MAX_HEADER_TEXTS: u32 = 512;
/// Maximum total size of the header names and values of a request, in bytes, far below the limit of a frame.
const MAX_HEADER_BYTES: usize = 64 * 1024;
/// Maximum size of a request body, in bytes.
const MAX_REQUEST_BODY_BYTES: usize = 10 * 1024 * 1024;
/// Maximum delay of a timer, in milliseconds, as on the web platform (a signed 32-bit integer).
const MAX_DELAY_MS: f64 = 2_147_483_647.0;

fn run(scope: &v8::PinScope<'_, '_>) -> Option<Rc<RunState>> {
    scope.get_slot::<Rc<RunState>>().map(Rc::clone)
}

/// `log(level, message)`.
pub(super) fn log(
    scope: &mut v8::PinScope<'_, '_>,
    args: v8::FunctionCallbackArguments<'_>,
    _result: v8::ReturnValue<'_, v8::Value>,
) {
    let Some(run) = run(scope) else { return };
    let level = match args.get(0).try_cast::<v8::String>() {
        Ok(level) if level.length() <= 8 => {
            level.to_rust_string_lossy(scope).parse().unwrap_or(LogLevel::Info)
        }
        _ => LogLevel::Info,
    };
    if let Ok(message) = args.get(1).try_cast::<v8::String>() {
        run.log(level, |max| text::bounded(scope, message, max));
    }
}

/// `uncaught(error)` ends the run with an exception that no caller could catch.
pub(super) fn uncaught(
    scope: &mut v8::PinScope<'_, '_>,
    args: v8::FunctionCallbackArguments<'_>,
    _result: v8::ReturnValue<'_, v8::Value>,
) {
    if let Some(run) = run(scope) {
        run.record_uncaught(v8::Global::new(scope, args.get(0)));
    }
}

/// `enqueueMicrotask(function)`.
pub(super) fn enqueue_microtask(
    scope: &mut v8::PinScope<'_, '_>,
    args: v8::FunctionCallbackArguments<'_>,
    _result: v8::ReturnValue<'_, v8::Value>,
) {
    if let Ok(function) = args.get(0).try_cast::<v8::Function>() {
        scope.enqueue_microtask(function);
    }
}

/// `timerStart(id, delayMs)`. An invalid delay counts as the shortest one.
pub(super) fn timer_start(
    scope: &mut v8::PinScope<'_, '_>,
    args: v8::FunctionCallbackArguments<'_>,
    _result: v8::ReturnValue<'_, v8::Value>,
) {
    let (Some(run), Some(id)) = (run(scope), id(scope, args.get(0))) else { return };
    let delay = args.get(1).number_value(scope).unwrap_or_default();
    let delay = if delay > 0.0 && delay <= MAX_DELAY_MS { delay } else { 0.0 };
    run.start_timer(id, Duration::from_secs_f64(delay / 1_000.0));
}

/// `timerCancel(id)`.
pub(super) fn timer_cancel(
    scope: &mut v8::PinScope<'_, '_>,
    args: v8::FunctionCallbackArguments<'_>,
    _result: v8::ReturnValue<'_, v8::Value>,
) {
    if let (Some(run), Some(id)) = (run(scope), id(scope, args.get(0))) {
        run.cancel_timer(id);
    }
}

/// `now()` → milliseconds since the start of the run, on a monotonic clock.
pub(super) fn now(
    scope: &mut v8::PinScope<'_, '_>,
    _args: v8::FunctionCallbackArguments<'_>,
    mut result: v8::ReturnValue<'_, v8::Value>,
) {
    let elapsed = run(scope).map_or(0.0, |run| run.elapsed().as_secs_f64() * 1_000.0);
    result.set_double(elapsed);
}

/// `fetchStart(id, method, url, headers, body, redirect, plane)`. Throws `TypeError` for a request that can't be sent.
pub(super) fn fetch_start(
    scope: &mut v8::PinScope<'_, '_>,
    args: v8::FunctionCallbackArguments<'_>,
    _result: v8::ReturnValue<'_, v8::Value>,
) {
    let Some(run) = run(scope) else { return throw_type_error(scope, "fetch is not available here") };
    let (Some(id), Some((request, body))) = (id(scope, args.get(0)), request(scope, &args)) else {
        return throw_type_error(scope, "fetch: the request is malformed or too large");
    };
    if !run.take_fetch() {
        let message = format!("fetch limit of {} requests per execution reached", run.limits().fetches);
        return throw_type_error(scope, &message);
    }
    run.send_fetch(id, request, body);
}

/// `fetchAbort(id)`.
pub(super) fn fetch_abort(
    scope: &mut v8::PinScope<'_, '_>,
    args: v8::FunctionCallbackArguments<'_>,
    _result: v8::ReturnValue<'_, v8::Value>,
) {
    if let (Some(run), Some(id)) = (run(scope), id(scope, args.get(0))) {
        run.drop_body(id);
        run.send(&FromSandbox::FetchAborted { id });
    }
}

fn id(scope: &v8::PinScope<'_, '_>, value: v8::Local<v8::Value>) -> Option<u32> {
    if value.is_number() { value.uint32_value(scope) } else { None }
}

fn text(scope: &v8::PinScope<'_, '_>, value: v8::Local<v8::Value>) -> Option<String> {
    let text = value.try_cast::<v8::String>().ok()?;
    (text.length() <= MAX_TEXT_UNITS).then(|| text.to_rust_string_lossy(scope))
}

fn request(
    scope: &mut v8::PinScope<'_, '_>,
    args: &v8::FunctionCallbackArguments<'_>,
) -> Option<(FetchRequest, Option<RequestBody>)> {
    let flat = args.get(3).try_cast::<v8::Array>().ok()?;
    if flat.length() > MAX_HEADER_TEXTS || flat.length() % 2 != 0 {
        return None;
    }
    let (mut headers, mut header_bytes) = (Vec::new(), 0);
    for index in (0..flat.length()).step_by(2) {
        let (name, value) = (flat.get_index(scope, index)?, flat.get_index(scope, index + 1)?);
        let (name, value) = (text(scope, name)?, text(scope, value)?);
        header_bytes += name.len() + value.len();
        if header_bytes > MAX_HEADER_BYTES {
            return None;
        }
        headers.push((name, value));
    }
    let body = if args.get(4).is_null_or_undefined() {
        None
    } else {
        let body = RequestBody::of(args.get(4).try_cast().ok()?)?;
        if body.bytes() > MAX_REQUEST_BODY_BYTES {
            return None;
        }
        Some(body)
    };
    let redirect = match text(scope, args.get(5))?.as_str() {
        "follow" => Redirect::Follow,
        "error" => Redirect::Error,
        "manual" => Redirect::Manual,
        _ => return None,
    };
    let body_bytes = body.as_ref().map(|body| u32::try_from(body.bytes()).ok());
    let request = FetchRequest {
        method: text(scope, args.get(1))?,
        url: text(scope, args.get(2))?,
        headers,
        body_bytes: body_bytes.flatten(),
        redirect,
        plane: args.get(6).is_true(),
    };
    Some((request, body))
}
