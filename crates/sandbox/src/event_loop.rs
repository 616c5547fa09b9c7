//! Event loop that runs until `main` settles.
//!
//! A turn handles one timer or one response, then all microtasks. A termination raised inside a microtask checkpoint
//! stays set, and the loop never calls JavaScript after it. Nor does it once `main` has settled. Only the checkpoint in
//! which `main` settles runs to its end, because V8 does not stop inside it.

use crate::{
    event_queue::{EventQueue, SandboxEvent, WaitResult},
    ops,
    run_state::RunState,
    stack,
    termination::Termination,
};
use sandbox_protocol::FetchAnswer;
use shared::execution::LogLevel;

/// Event loop of one run.
pub(super) struct EventLoop<'a> {
    pub(super) events: &'a EventQueue,
    pub(super) termination: &'a Termination,
    pub(super) run: &'a RunState,
}

impl EventLoop<'_> {
    /// Runs until `promise` is no longer pending or the run must stop. Returns the exception of a callback, if that
    /// stopped the run.
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
            // Handles are released after each turn, so that the number of turns does not affect memory.
            v8::scope!(let scope, scope);
            if promise.state() == v8::PromiseState::Pending {
                scope.perform_microtask_checkpoint();
            }
            if self.termination.reason().is_some() {
                return;
            }
            self.report_rejections(scope, host);
            if self.termination.reason().is_some()
                || self.run.has_uncaught()
                || promise.state() != v8::PromiseState::Pending
            {
                return;
            }
            // A received response takes precedence over a due timer, so that timers cannot starve responses.
            if let WaitResult::Event(delivery) = self.events.wait(self.run.next_timer()) {
                match delivery {
                    SandboxEvent::FetchDone { id, answer, body } => {
                        self.deliver(scope, host, id, (&answer, &body));
                    }
                    SandboxEvent::SendBody { id } => self.run.send_body(id),
                    SandboxEvent::Execute(_) => {}
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
        answer: (&FetchAnswer, &[u8]),
    ) {
        self.run.drop_body(id);
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

    /// Calls a function of the host object. An exception that it lets through was thrown by a callback without a
    /// caller.
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
            && self.termination.reason().is_none()
            && let Some(thrown) = scope.exception()
        {
            self.run.record_uncaught(v8::Global::new(scope, thrown));
        }
    }

    /// Logs unhandled rejections as errors. Only the promise of `main` decides the result of the run.
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
    (answer, body): (&FetchAnswer, &[u8]),
) -> Option<Vec<v8::Local<'s, v8::Value>>> {
    let null = v8::null(scope).into();
    match answer {
        FetchAnswer::Refused { message } => Some(vec![id, v8::String::new(scope, message)?.into()]),
        FetchAnswer::Response { status, status_text, url, redirected, headers } => {
            let mut flat = Vec::with_capacity(headers.len() * 2);
            for (name, value) in headers {
                flat.push(v8::String::new(scope, name)?.into());
                flat.push(v8::String::new(scope, value)?.into());
            }
            Some(vec![
                id,
                null,
                v8::Integer::new_from_unsigned(scope, u32::from(*status)).into(),
                v8::String::new(scope, status_text)?.into(),
                v8::String::new(scope, url)?.into(),
                v8::Boolean::new(scope, *redirected).into(),
                v8::Array::new_with_elements(scope, &flat).into(),
                ops::array_buffer(scope, body).into(),
            ])
        }
    }
}
