//! The startup snapshot: V8's heap with the runtime already evaluated, so that no run pays for it.

use crate::{ops, platform};
use std::io::{self, Write};

/// One classic script whose completion value is `function bootstrap(ops) → host`.
const RUNTIME: &str = include_str!(concat!(env!("OUT_DIR"), "/runtime.js"));
/// Where the context with the runtime is among the snapshot's further contexts.
pub(super) const CONTEXT: usize = 0;
/// Where the host object is among that context's data.
pub(super) const HOST: usize = 0;
/// Frames of scripts with this prefix never appear in an author's stack trace.
pub(super) const RUNTIME_PREFIX: &str = "runtime:";

/// Why there is no snapshot. None depends on input: each is a fault of this build.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    #[error("the runtime does not evaluate: {0}")]
    Runtime(String),
    #[error("V8 made no snapshot")]
    Blob,
    #[error("the snapshot could not be written: {0}")]
    Io(#[from] io::Error),
}

/// Makes the startup snapshot and writes it. Once per process.
pub fn write_snapshot(sink: &mut impl Write) -> Result<(), SnapshotError> {
    platform::initialize();
    let mut creator = v8::Isolate::snapshot_creator(Some(ops::external_references().into()), None);
    let evaluated = {
        v8::scope!(let scope, &mut creator);
        // V8 wants a default context and extends it whenever it makes one from it, which fails on a context
        // that was extended before; ours is a further one, restored as it is.
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
    // The blob is made even after a failure: V8 aborts when a snapshot creator is dropped without it.
    let blob = creator.create_blob(v8::FunctionCodeHandling::Keep).ok_or(SnapshotError::Blob)?;
    evaluated?;
    sink.write_all(&blob)?;
    Ok(sink.flush()?)
}

/// Evaluates the runtime and hands it its native functions; returns the host object.
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
