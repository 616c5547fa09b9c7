//! Startup snapshot: V8's heap with the runtime already evaluated, so that runs start faster.

use crate::{ops, platform};
use std::io::{self, Write};

/// Runtime as one classic script with the completion value `function bootstrap(ops) → host`.
const RUNTIME: &str = include_str!(concat!(env!("OUT_DIR"), "/runtime.js"));
/// Index of the runtime's context among the additional contexts of the snapshot.
pub(super) const CONTEXT: usize = 0;
/// Index of the host object among the data of that context.
pub(super) const HOST: usize = 0;
/// Prefix of resource names whose frames never appear in an author's stack trace.
pub(super) const RUNTIME_PREFIX: &str = "runtime:";

/// Errors of making the snapshot. None depends on input: each is a bug of this build.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    #[error("the sandbox runtime can't be evaluated: {0}")]
    Runtime(String),
    #[error("V8 could not create the startup snapshot")]
    Blob,
    #[error("the snapshot could not be written: {0}")]
    Io(#[from] io::Error),
}

/// Makes the startup snapshot and writes it. Call it once per process.
pub fn write_snapshot(sink: &mut impl Write) -> Result<(), SnapshotError> {
    platform::initialize();
    let mut creator = v8::Isolate::snapshot_creator(Some(ops::external_references().into()), None);
    let evaluated = {
        v8::scope!(let scope, &mut creator);
        // V8 requires a default context and extends it whenever it creates a context from it. That fails on a context
        // that was extended before, so the runtime's context is an additional one, restored unchanged.
        let default = v8::Context::new(scope, v8::ContextOptions::default());
        scope.set_default_context(default);
        let context = v8::Context::new(scope, v8::ContextOptions::default());
        let scope = &mut v8::ContextScope::new(scope, context);
        let evaluated = bootstrap(scope).map(|host| {
            scope.add_context_data(context, host);
        });
        scope.add_context(context);
        evaluated
    };
    // The blob is created even after a failure, because V8 aborts if a snapshot creator is dropped without it.
    let blob = creator.create_blob(v8::FunctionCodeHandling::Keep).ok_or(SnapshotError::Blob)?;
    evaluated?;
    sink.write_all(&blob)?;
    Ok(sink.flush()?)
}

/// Evaluates the runtime and passes it the native functions. Returns the host object.
fn bootstrap<'s>(scope: &mut v8::PinScope<'s, '_>) -> Result<v8::Local<'s, v8::Object>, SnapshotError> {
    v8::tc_scope!(let scope, scope);
    let host = evaluate(scope);
    host.ok_or_else(|| {
        let message = scope.message().map(|message| {
            let line = message.get_line_number(scope).unwrap_or_default();
            format!("{} (line {line})", message.get(scope).to_rust_string_lossy(scope))
        });
        SnapshotError::Runtime(message.unwrap_or_else(|| "bootstrap returned no host object".to_owned()))
    })
}

fn evaluate<'s>(scope: &mut v8::PinScope<'s, '_>) -> Option<v8::Local<'s, v8::Object>> {
    let source = v8::String::new(scope, RUNTIME)?;
    let name = v8::String::new(scope, &format!("{RUNTIME_PREFIX}bootstrap"))?.into();
    let origin = v8::ScriptOrigin::new(scope, name, 0, 0, false, 0, None, false, false, false, None);
    let script = v8::Script::compile(scope, source, Some(&origin))?;
    let bootstrap = script.run(scope)?.try_cast::<v8::Function>().ok()?;
    let ops = ops::object(scope)?;
    let undefined = v8::undefined(scope).into();
    let host = bootstrap.call(scope, undefined, &[ops.into()])?;
    host.try_cast::<v8::Object>().ok()
}
