//! Execution of one run: loads the functions, evaluates the script, calls `main` and reads its result.
//!
//! [`Termination`] is checked after every step that can run the script's code: the reason of a termination takes
//! precedence over the exception that it causes.

use crate::{
    event_loop::EventLoop,
    event_queue::EventQueue,
    isolate::FreshIsolate,
    json,
    run_state::{FUNCTION_PREFIX, RunState, SCRIPT},
    stack,
    termination::Termination,
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

/// Failure of a run. Converted to [`RunEnd`] in one place.
struct RunFailure {
    code: ErrorCode,
    message: String,
    stack: Option<String>,
    position: Option<(u32, u32)>,
    /// The thrown value is a `RangeError`, as V8 throws it when the allocation of a buffer is refused.
    is_range_error: bool,
}

impl RunFailure {
    fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), stack: None, position: None, is_range_error: false }
    }

    fn of(code: ErrorCode, described: stack::ErrorDescription) -> Self {
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

/// Executes one job in its own isolate.
pub(super) fn execute(
    fresh: &mut FreshIsolate,
    job: &Rc<Job>,
    termination: &Termination,
    events: &EventQueue,
    socket: &Arc<UnixStream>,
) -> (RunEnd, Usage) {
    let cpu_before = thread_cpu_time();
    let began = Instant::now();
    let run = Rc::new(RunState::new(Rc::clone(job), Arc::clone(socket)));
    fresh.isolate.set_slot(Rc::clone(&run));
    let (mut init, outcome) = {
        v8::scope!(let scope, &mut fresh.isolate);
        let context = v8::Local::new(scope, &fresh.context);
        let scope = &mut v8::ContextScope::new(scope, context);
        let host = v8::Local::new(scope, &fresh.host);
        let script_run = ScriptRun { host, termination, events, run: &run };
        script_run.run(scope, job, began)
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
            // The script failed because the allocation of a buffer was refused.
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

/// Call of the entry function.
struct EntryCall<'s> {
    main: v8::Local<'s, v8::Function>,
    /// `input` and `env`.
    arguments: [v8::Local<'s, v8::Value>; 2],
}

struct ScriptRun<'a, 's> {
    host: v8::Local<'s, v8::Object>,
    termination: &'a Termination,
    events: &'a EventQueue,
    run: &'a RunState,
}

impl<'s> ScriptRun<'_, 's> {
    /// Runs the script. Returns the duration of its initialisation, and its result as JSON or its failure.
    fn run(
        &self,
        scope: &mut v8::PinScope<'s, '_>,
        job: &Job,
        began: Instant,
    ) -> (Duration, Result<String, RunFailure>) {
        let entry = self.load(scope, job);
        let init = began.elapsed();
        let result = entry.and_then(|entry| {
            self.run.send(&FromSandbox::Initialized);
            let settled = self.call_main(scope, &entry)?;
            self.read_result(scope, settled)
        });
        // A termination takes precedence over the result of the interrupted step.
        match self.termination.reason() {
            Some(code) => (init, Err(RunFailure::new(code, stopped(code, self.run)))),
            None => (init, result),
        }
    }

    /// Installs the globals, then evaluates the functions and the script, whose top level may use them.
    fn load(&self, scope: &mut v8::PinScope<'s, '_>, job: &Job) -> Result<EntryCall<'s>, RunFailure> {
        let functions = v8::Object::new(scope);
        let settings = settings(scope, job, functions)?;
        let env = self.start_runtime(scope, settings)?;
        let input = parse(scope, job.input.get(), "input")?;
        for (name, build) in &job.functions {
            let function = self.evaluate(scope, &format!("{FUNCTION_PREFIX}{name}"), build)?;
            let key = string(scope, name)?;
            functions.create_data_property(scope, key.into(), function.into());
        }
        let main = self.evaluate(scope, SCRIPT, &job.build)?;
        Ok(EntryCall { main, arguments: [input, env] })
    }

    /// Calls the runtime's `start`, which installs the globals of the run. Returns the argument `env` of `main`.
    fn start_runtime(
        &self,
        scope: &mut v8::PinScope<'s, '_>,
        settings: v8::Local<'s, v8::Object>,
    ) -> Result<v8::Local<'s, v8::Value>, RunFailure> {
        let key = string(scope, "start")?;
        v8::tc_scope!(let scope, scope);
        let start = self.host.get(scope, key.into()).and_then(|start| start.try_cast::<v8::Function>().ok());
        let started = start.and_then(|start| start.call(scope, self.host.into(), &[settings.into()]));
        started.ok_or_else(|| self.thrown(scope, ErrorCode::SandboxCrashed))
    }

    /// Compiles and runs one build. Returns its completion value, which is a function.
    fn evaluate(
        &self,
        scope: &mut v8::PinScope<'s, '_>,
        name: &str,
        build: &str,
    ) -> Result<v8::Local<'s, v8::Function>, RunFailure> {
        let source = string(scope, build)?;
        let resource = string(scope, name)?.into();
        v8::tc_scope!(let scope, scope);
        let origin = v8::ScriptOrigin::new(scope, resource, 0, 0, false, 0, None, false, false, false, None);
        let value = v8::Script::compile(scope, source, Some(&origin)).and_then(|script| script.run(scope));
        match value {
            Some(value) => value.try_cast::<v8::Function>().map_err(|_other| {
                RunFailure::new(ErrorCode::BuildFailed, format!("the build of {name} is not a function"))
            }),
            None => Err(self.thrown(scope, ErrorCode::ScriptError)),
        }
    }

    /// Calls `main` and waits until it settles.
    fn call_main(
        &self,
        scope: &mut v8::PinScope<'s, '_>,
        entry: &EntryCall<'s>,
    ) -> Result<v8::Local<'s, v8::Value>, RunFailure> {
        v8::tc_scope!(let scope, scope);
        let undefined = v8::undefined(scope).into();
        let Some(returned) = entry.main.call(scope, undefined, &entry.arguments) else {
            return Err(self.thrown(scope, ErrorCode::ScriptError));
        };
        // A promise is awaited natively, so that a `then` that the script puts on the prototype has no effect.
        // Any other value is resolved as the standard specifies for thenables.
        let promise = if let Ok(promise) = returned.try_cast::<v8::Promise>() {
            promise
        } else {
            let resolver = v8::PromiseResolver::new(scope)
                .ok_or_else(|| RunFailure::new(ErrorCode::SandboxCrashed, "V8 could not create a promise"))?;
            if resolver.resolve(scope, returned).is_none() {
                return Err(self.thrown(scope, ErrorCode::ScriptError));
            }
            resolver.get_promise(scope)
        };
        promise.mark_as_handled();
        let event_loop = EventLoop { events: self.events, termination: self.termination, run: self.run };
        let uncaught = event_loop.settle(scope, self.host, promise);
        // The result of `main` takes precedence over exceptions thrown by callbacks.
        let thrown = match promise.state() {
            v8::PromiseState::Fulfilled => return Ok(promise.result(scope)),
            v8::PromiseState::Rejected => Some(promise.result(scope)),
            v8::PromiseState::Pending => uncaught,
        };
        match thrown {
            Some(thrown) if self.termination.reason().is_none() => {
                let described = stack::describe(scope, self.host, thrown, self.run);
                Err(RunFailure::of(ErrorCode::ScriptError, described))
            }
            _ => Err(RunFailure::new(ErrorCode::Timeout, "main did not settle")),
        }
    }

    /// Reads the result as JSON. This runs getters, `toJSON` and proxies of the script, with the same deadline.
    fn read_result(
        &self,
        scope: &mut v8::PinScope<'s, '_>,
        value: v8::Local<'s, v8::Value>,
    ) -> Result<String, RunFailure> {
        if value.is_undefined() {
            return Ok("null".to_owned());
        }
        if value.is_function() || value.is_symbol() {
            let kind = if value.is_symbol() { "symbol" } else { "function" };
            let message = format!("main returned a {kind}, which JSON can't hold");
            return Err(RunFailure::new(ErrorCode::InvalidResult, message));
        }
        v8::tc_scope!(let scope, scope);
        let Some(json) = v8::json::stringify(scope, value) else {
            return Err(self.thrown(scope, ErrorCode::InvalidResult));
        };
        let limit = self.run.limits().result_bytes;
        let too_large = || {
            let message = format!("the result is larger than {limit} bytes");
            RunFailure::new(ErrorCode::ResultTooLarge, message)
        };
        // One UTF-16 unit takes at least one byte, so a text that is too long is never copied.
        if json.length() > limit {
            return Err(too_large());
        }
        let json = text::bounded(scope, json, limit);
        let json = json::clean(json)
            .map_err(|error| RunFailure::new(ErrorCode::InvalidResult, error.to_string()))?;
        if json.len() > limit { Err(too_large()) } else { Ok(json) }
    }

    /// Describes the exception of a step, with positions in the author's text.
    fn thrown(
        &self,
        scope: &mut v8::PinnedRef<'_, v8::TryCatch<'_, 's, v8::HandleScope<'_>>>,
        code: ErrorCode,
    ) -> RunFailure {
        let (Some(thrown), None) = (scope.exception(), self.termination.reason()) else {
            return RunFailure::new(code, "the script was stopped");
        };
        let position = scope.message().and_then(|message| stack::position(scope, message, self.run));
        scope.reset();
        let mut failure = RunFailure::of(code, stack::describe(scope, self.host, thrown, self.run));
        failure.position = failure.position.or(position);
        failure
    }
}

/// Message of a run that was terminated.
fn stopped(code: ErrorCode, run: &RunState) -> String {
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

/// Makes the argument of the runtime's `start`.
fn settings<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    job: &Job,
    functions: v8::Local<'s, v8::Object>,
) -> Result<v8::Local<'s, v8::Object>, RunFailure> {
    let env = v8::Object::new(scope);
    for (key, value) in &job.env {
        let (key, value) = (string(scope, key)?, string(scope, value)?);
        env.create_data_property(scope, key.into(), value.into());
    }
    let timeout_ms = job.limits.execution_timeout.as_secs_f64() * 1_000.0;
    let fields: [(&str, v8::Local<v8::Value>); 7] = [
        ("ENV", env.into()),
        ("Variables", parse(scope, job.variables.get(), "variables")?),
        ("workspaceSlug", string(scope, &job.workspace_slug)?.into()),
        ("apiBaseUrl", string(scope, &job.api_base_url)?.into()),
        ("Functions", functions.into()),
        ("executionId", string(scope, &job.execution_id.to_string())?.into()),
        ("timeoutMs", v8::Number::new(scope, timeout_ms).into()),
    ];
    let settings = v8::Object::new(scope);
    for (name, value) in fields {
        let key = string(scope, name)?;
        settings.create_data_property(scope, key.into(), value);
    }
    Ok(settings)
}

fn string<'s>(scope: &v8::PinScope<'s, '_>, text: &str) -> Result<v8::Local<'s, v8::String>, RunFailure> {
    v8::String::new(scope, text)
        .ok_or_else(|| RunFailure::new(ErrorCode::MemoryLimit, "a text of the job is too long for a string"))
}

fn parse<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    json: &str,
    what: &str,
) -> Result<v8::Local<'s, v8::Value>, RunFailure> {
    let text = string(scope, json)?;
    v8::tc_scope!(let scope, scope);
    v8::json::parse(scope, text)
        .ok_or_else(|| RunFailure::new(ErrorCode::SandboxCrashed, format!("the job's {what} is not JSON")))
}

/// Returns the processor time of the calling thread.
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
