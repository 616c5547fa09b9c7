//! Turns of the event loop until `main` settles.
//!
//! One turn: one timer or one answer, then every microtask. A termination raised inside a checkpoint stays
//! set, and the loop never goes back into JavaScript after one. Nor does it once `main` has settled: only the
//! checkpoint in which that happens is run to its end, because V8 stops nowhere in it.

use crate::{
    event_queue::{Delivery, Inbox, Waited},
    ops,
    run_state::Run,
    stack,
    termination::Halt,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use sandbox_protocol::FetchAnswer;
use shared::execution::LogLevel;

/// What the loop works with.
pub(super) struct EventLoop<'a> {
    pub(super) inbox: &'a Inbox,
    pub(super) halt: &'a Halt,
    pub(super) run: &'a Run,
}

impl EventLoop<'_> {
    /// Runs until `promise` is no longer pending or the run must stop; returns what was thrown where nobody
    /// could catch it, if that is the reason.
    pub(super) fn settle<'s>(
        &self,
        scope: &mut v8::PinScope<'s, '_>,
        host: v8::Local<v8::Object>,
        promise: v8::Local<v8::Promise>,
    ) -> Option<v8::Local<'s, v8::Value>> {
        self.turns(scope, host, promise);
        self.run.take_uncaught().map(|thrown| v8::Local::new(scope, thrown))
    }

    fn turns(
        &self,
        scope: &mut v8::PinScope<'_, '_>,
        host: v8::Local<v8::Object>,
        promise: v8::Local<v8::Promise>,
    ) {
        loop {
            // Handles of one turn die with it: a run of many turns holds no more than a short one.
            v8::scope!(let scope, scope);
            if promise.state() == v8::PromiseState::Pending {
                scope.perform_microtask_checkpoint();
            }
            if self.halt.reason().is_some() {
                return;
            }
            self.report_rejections(scope, host);
            if self.halt.reason().is_some()
                || self.run.has_uncaught()
                || promise.state() != v8::PromiseState::Pending
            {
                return;
            }
            // An answer that is here goes before a timer that is due, so that timers can't keep it out.
            if let Waited::Delivered(delivery) = self.inbox.wait(self.run.next_timer()) {
                if let Delivery::FetchDone { id, answer } = delivery {
                    self.deliver(scope, host, id, &answer);
                }
            } else if let Some(id) = self.run.take_due_timer() {
                let id = v8::Integer::new_from_unsigned(scope, id).into();
                self.call(scope, host, "timerFired", &[id]);
            }
        }
    }

    fn deliver(
        &self,
        scope: &mut v8::PinScope<'_, '_>,
        host: v8::Local<v8::Object>,
        id: u32,
        answer: &FetchAnswer,
    ) {
        let id = v8::Integer::new_from_unsigned(scope, id).into();
        match answer_arguments(scope, id, answer) {
            Some(arguments) => self.call(scope, host, "fetchDone", &arguments),
            None => {
                if let Some(message) = v8::String::new(scope, "the response is larger than a string may be") {
                    self.call(scope, host, "fetchDone", &[id, message.into()]);
                }
            }
        }
    }

    /// Calls a function of the host object. What passes through it was thrown by a callback with no caller.
    fn call(
        &self,
        scope: &mut v8::PinScope<'_, '_>,
        host: v8::Local<v8::Object>,
        name: &str,
        arguments: &[v8::Local<v8::Value>],
    ) {
        v8::tc_scope!(let scope, scope);
        let function = v8::String::new(scope, name)
            .and_then(|key| host.get(scope, key.into()))
            .and_then(|value| value.try_cast::<v8::Function>().ok());
        let Some(function) = function else { return };
        if function.call(scope, host.into(), arguments).is_none()
            && self.halt.reason().is_none()
            && let Some(thrown) = scope.exception()
        {
            self.run.note_uncaught(v8::Global::new(scope, thrown));
        }
    }

    /// An unhandled rejection is logged as an error; the run stands or falls by what `main` returned.
    fn report_rejections(&self, scope: &mut v8::PinScope<'_, '_>, host: v8::Local<v8::Object>) {
        for promise in self.run.take_rejections() {
            let promise = v8::Local::new(scope, promise);
            if !promise.has_handler() && promise.state() == v8::PromiseState::Rejected {
                let reason = promise.result(scope);
                let described = stack::describe(scope, host, reason, self.run);
                let text = described.stack.unwrap_or(described.message);
                self.run.log(LogLevel::Error, |_most| format!("Unhandled promise rejection: {text}"));
            }
        }
    }
}

fn answer_arguments<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    id: v8::Local<'s, v8::Value>,
    answer: &FetchAnswer,
) -> Option<Vec<v8::Local<'s, v8::Value>>> {
    let null = v8::null(scope).into();
    match answer {
        FetchAnswer::Refused { message } => Some(vec![id, v8::String::new(scope, message)?.into()]),
        FetchAnswer::Response { status, status_text, url, redirected, headers, body } => {
            let mut flat = Vec::with_capacity(headers.len() * 2);
            for (name, value) in headers {
                flat.push(v8::String::new(scope, name)?.into());
                flat.push(v8::String::new(scope, value)?.into());
            }
            let body = STANDARD.decode(body).ok()?;
            Some(vec![
                id,
                null,
                v8::Integer::new_from_unsigned(scope, u32::from(*status)).into(),
                v8::String::new(scope, status_text)?.into(),
                v8::String::new(scope, url)?.into(),
                v8::Boolean::new(scope, *redirected).into(),
                v8::Array::new_with_elements(scope, &flat).into(),
                ops::array_buffer(scope, &body).into(),
            ])
        }
    }
}
