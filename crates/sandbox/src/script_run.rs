//! One run: load the functions, evaluate the script, call `main`, read its result.
//!
//! Every step that can run the script's code is followed by a look at [`Halt`]: why the run was stopped
//! outranks whatever exception that left behind.

use crate::{
    event_loop::EventLoop,
    event_queue::Inbox,
    isolate::FreshIsolate,
    json,
    run_state::{FUNCTION_PREFIX, Run, SCRIPT},
    stack,
    termination::Halt,
    text,
};
use sandbox_protocol::{FromSandbox, Job, RunEnd};
use shared::{execution::ErrorCode, outcome::Usage};
use std::{
    os::unix::net::UnixStream,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

/// Why a run did not complete. Turned into [`RunEnd`] at one place.
struct Failure {
    code: ErrorCode,
    message: String,
    stack: Option<String>,
    position: Option<(u32, u32)>,
    /// What was thrown is a `RangeError`: that a buffer was refused, perhaps.
    is_range_error: bool,
}

impl Failure {
    fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), stack: None, position: None, is_range_error: false }
    }

    fn of(code: ErrorCode, described: stack::Described) -> Self {
        let position = described.line.zip(described.column);
        Self {
            code,
            message: described.message,
            stack: described.stack,
            position,
            is_range_error: described.is_range_error,
        }
    }
}

/// Executes one job in an isolate made for it.
pub(super) fn execute(
    fresh: &mut FreshIsolate,
    job: &Rc<Job>,
    halt: &Halt,
    inbox: &Inbox,
    socket: &Arc<UnixStream>,
) -> (RunEnd, Usage) {
    let cpu_before = thread_cpu_time();
    let began = Instant::now();
    let run = Rc::new(Run::new(Rc::clone(job), Arc::clone(socket)));
    fresh.isolate.set_slot(Rc::clone(&run));
    let (mut init, outcome) = {
        v8::scope!(let scope, &mut fresh.isolate);
        let context = v8::Local::new(scope, &fresh.context);
        let scope = &mut v8::ContextScope::new(scope, context);
        let host = v8::Local::new(scope, &fresh.host);
        let execution = Execution { host, halt, inbox, run: &run };
        execution.whole(scope, job, began)
    };
    let memory_peak = fresh.memory.peak(&mut fresh.isolate);
    let total = began.elapsed();
    init = init.min(total);
    let usage = Usage {
        init,
        run: total.saturating_sub(init),
        cpu: thread_cpu_time().saturating_sub(cpu_before),
        memory_peak_bytes: u64::try_from(memory_peak).unwrap_or(u64::MAX),
        fetches: run.fetches(),
    };
    let end = match outcome {
        Ok(json) => RunEnd::Completed { json },
        Err(failure) => RunEnd::Failed {
            // The script did not survive the refusal of a buffer.
            code: match failure.code {
                ErrorCode::ScriptError if failure.is_range_error && fresh.memory.buffers().refused_last() => {
                    ErrorCode::MemoryLimit
                }
                code => code,
            },
            message: failure.message,
            stack: failure.stack,
            line: failure.position.map(|(line, _)| line),
            column: failure.position.map(|(_, column)| column),
        },
    };
    (end, usage)
}

struct Execution<'a, 's> {
    host: v8::Local<'s, v8::Object>,
    halt: &'a Halt,
    inbox: &'a Inbox,
    run: &'a Run,
}

impl<'s> Execution<'_, 's> {
    /// How long initialising took, and how the run ended.
    fn whole(
        &self,
        scope: &mut v8::PinScope<'s, '_>,
        job: &Job,
        began: Instant,
    ) -> (Duration, Result<String, Failure>) {
        let main = self.load(scope, job);
        let init = began.elapsed();
        let result = main.and_then(|(main, input, env)| {
            self.run.send(&FromSandbox::Initialized);
            let settled = self.call_main(scope, main, &[input, env])?;
            self.read_result(scope, settled)
        });
        // Whatever was going on when the run was told to stop, that is how it ended.
        match self.halt.reason() {
            Some(code) => (init, Err(Failure::new(code, stopped(code, self.run)))),
            None => (init, result),
        }
    }

    /// Evaluates functions and script; returns `main` and its two arguments.
    #[expect(clippy::type_complexity, reason = "one function, its arguments, read once")]
    fn load(
        &self,
        scope: &mut v8::PinScope<'s, '_>,
        job: &Job,
    ) -> Result<(v8::Local<'s, v8::Function>, v8::Local<'s, v8::Value>, v8::Local<'s, v8::Value>), Failure>
    {
        let functions = v8::Object::new(scope);
        let env = self.start(scope, job, functions)?;
        let input = parse(scope, job.input.get(), "input")?;
        // After the start, so that a function's top level already sees the run's globals.
        for (name, build) in &job.functions {
            let function = self.evaluate(scope, &format!("{FUNCTION_PREFIX}{name}"), build)?;
            let key = string(scope, name)?;
            functions.create_data_property(scope, key.into(), function.into());
        }
        let main = self.evaluate(scope, SCRIPT, &job.build)?;
        Ok((main, input, env))
    }

    /// Compiles and runs one build; its completion value is the function to call.
    fn evaluate(
        &self,
        scope: &mut v8::PinScope<'s, '_>,
        name: &str,
        build: &str,
    ) -> Result<v8::Local<'s, v8::Function>, Failure> {
        let source = string(scope, build)?;
        let resource = string(scope, name)?.into();
        v8::tc_scope!(let scope, scope);
        let origin = v8::ScriptOrigin::new(scope, resource, 0, 0, false, 0, None, false, false, false, None);
        let value = v8::Script::compile(scope, source, Some(&origin)).and_then(|script| script.run(scope));
        match value {
            Some(value) => value.try_cast::<v8::Function>().map_err(|_other| {
                Failure::new(ErrorCode::BuildFailed, format!("the build of {name} is no function"))
            }),
            None => Err(self.thrown(scope, ErrorCode::ScriptError)),
        }
    }

    /// Hands the run's data to the runtime, which installs the globals; returns `env` for `main`.
    fn start(
        &self,
        scope: &mut v8::PinScope<'s, '_>,
        job: &Job,
        functions: v8::Local<'s, v8::Object>,
    ) -> Result<v8::Local<'s, v8::Value>, Failure> {
        let variables = parse(scope, job.variables.get(), "variables")?;
        let env = v8::Object::new(scope);
        for (key, value) in &job.env {
            let (key, value) = (string(scope, key)?, string(scope, value)?);
            env.create_data_property(scope, key.into(), value.into());
        }
        let slug = string(scope, &job.workspace_slug)?.into();
        let api = string(scope, &job.api_base_url)?.into();
        let timeout_ms = job.limits.execution_timeout.as_secs_f64() * 1_000.0;
        let fields: [(&str, v8::Local<v8::Value>); 7] = [
            ("ENV", env.into()),
            ("Variables", variables),
            ("workspaceSlug", slug),
            ("apiBaseUrl", api),
            ("Functions", functions.into()),
            ("executionId", string(scope, &job.execution_id.to_string())?.into()),
            ("timeoutMs", v8::Number::new(scope, timeout_ms).into()),
        ];
        let settings = v8::Object::new(scope);
        for (name, value) in fields {
            let key = string(scope, name)?;
            settings.create_data_property(scope, key.into(), value);
        }
        let key = string(scope, "start")?;
        v8::tc_scope!(let scope, scope);
        let start = self.host.get(scope, key.into()).and_then(|start| start.try_cast::<v8::Function>().ok());
        let started = start.and_then(|start| start.call(scope, self.host.into(), &[settings.into()]));
        started.ok_or_else(|| self.thrown(scope, ErrorCode::SandboxCrashed))
    }

    /// Calls `main` and waits until it settles.
    fn call_main(
        &self,
        scope: &mut v8::PinScope<'s, '_>,
        main: v8::Local<'s, v8::Function>,
        arguments: &[v8::Local<'s, v8::Value>],
    ) -> Result<v8::Local<'s, v8::Value>, Failure> {
        v8::tc_scope!(let scope, scope);
        let undefined = v8::undefined(scope).into();
        let Some(returned) = main.call(scope, undefined, arguments) else {
            return Err(self.thrown(scope, ErrorCode::ScriptError));
        };
        // A promise is waited for natively, so that a script's own `then` on the prototype changes nothing;
        // only what is no promise goes the standard's way of thenables.
        let promise = if let Ok(promise) = returned.try_cast::<v8::Promise>() {
            promise
        } else {
            let resolver = v8::PromiseResolver::new(scope)
                .ok_or_else(|| Failure::new(ErrorCode::SandboxCrashed, "V8 made no promise"))?;
            if resolver.resolve(scope, returned).is_none() {
                return Err(self.thrown(scope, ErrorCode::ScriptError));
            }
            resolver.get_promise(scope)
        };
        promise.mark_as_handled();
        let event_loop = EventLoop { inbox: self.inbox, halt: self.halt, run: self.run };
        let uncaught = event_loop.settle(scope, self.host, promise);
        // How `main` settled outranks what was thrown beside it.
        let thrown = match promise.state() {
            v8::PromiseState::Fulfilled => return Ok(promise.result(scope)),
            v8::PromiseState::Rejected => Some(promise.result(scope)),
            v8::PromiseState::Pending => uncaught,
        };
        match thrown {
            Some(thrown) if self.halt.reason().is_none() => {
                let described = stack::describe(scope, self.host, thrown, self.run);
                Err(Failure::of(ErrorCode::ScriptError, described))
            }
            _ => Err(Failure::new(ErrorCode::Timeout, "main did not settle")),
        }
    }

    /// Reads the result as JSON. Getters, `toJSON` and proxies of the script run here, under the same deadline.
    fn read_result(
        &self,
        scope: &mut v8::PinScope<'s, '_>,
        value: v8::Local<'s, v8::Value>,
    ) -> Result<String, Failure> {
        if value.is_undefined() {
            return Ok("null".to_owned());
        }
        if value.is_function() || value.is_symbol() {
            let kind = if value.is_symbol() { "symbol" } else { "function" };
            let message = format!("main returned a {kind}, which JSON can't hold");
            return Err(Failure::new(ErrorCode::InvalidResult, message));
        }
        v8::tc_scope!(let scope, scope);
        let Some(json) = v8::json::stringify(scope, value) else {
            return Err(self.thrown(scope, ErrorCode::InvalidResult));
        };
        let limit = self.run.limits().result_bytes;
        let too_large = || {
            let message = format!("the result is larger than {limit} bytes");
            Failure::new(ErrorCode::ResultTooLarge, message)
        };
        // One unit is at least one byte: what is too long is never copied.
        if json.length() > limit {
            return Err(too_large());
        }
        let json = text::bounded(scope, json, limit);
        let json =
            json::clean(json).map_err(|error| Failure::new(ErrorCode::InvalidResult, error.to_string()))?;
        if json.len() > limit { Err(too_large()) } else { Ok(json) }
    }

    /// What a step threw, described in the author's coordinates.
    fn thrown(
        &self,
        scope: &mut v8::PinnedRef<'_, v8::TryCatch<'_, 's, v8::HandleScope<'_>>>,
        code: ErrorCode,
    ) -> Failure {
        let (Some(thrown), None) = (scope.exception(), self.halt.reason()) else {
            return Failure::new(code, "the script was stopped");
        };
        let position = scope.message().and_then(|message| stack::position(scope, message, self.run));
        scope.reset();
        let mut failure = Failure::of(code, stack::describe(scope, self.host, thrown, self.run));
        failure.position = failure.position.or(position);
        failure
    }
}

/// What is told of a run that was stopped.
fn stopped(code: ErrorCode, run: &Run) -> String {
    let limits = run.limits();
    match code {
        ErrorCode::Timeout => {
            format!("the run took longer than {} ms", limits.execution_timeout.as_millis())
        }
        ErrorCode::InitTimeout => {
            format!("evaluating the top level took longer than {} ms", limits.init_timeout.as_millis())
        }
        ErrorCode::MemoryLimit => {
            format!("the run needed more than {} MiB of memory", limits.memory_bytes / (1024 * 1024))
        }
        ErrorCode::Cancelled => "the run was cancelled".to_owned(),
        _ => "the run was stopped".to_owned(),
    }
}

fn string<'s>(scope: &v8::PinScope<'s, '_>, text: &str) -> Result<v8::Local<'s, v8::String>, Failure> {
    v8::String::new(scope, text)
        .ok_or_else(|| Failure::new(ErrorCode::MemoryLimit, "a text of the job is too long for a string"))
}

fn parse<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    json: &str,
    what: &str,
) -> Result<v8::Local<'s, v8::Value>, Failure> {
    let text = string(scope, json)?;
    v8::tc_scope!(let scope, scope);
    v8::json::parse(scope, text)
        .ok_or_else(|| Failure::new(ErrorCode::SandboxCrashed, format!("the job's {what} is not JSON")))
}

/// Processor time of the calling thread.
fn thread_cpu_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a live timespec.
    let failed = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) } != 0;
    if failed {
        return Duration::ZERO;
    }
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default())
}
