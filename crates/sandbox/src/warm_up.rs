//! Scripts of this crate that an isolate runs before any job, so that the job finds it warm.

use crate::isolate::FreshIsolate;

/// Makes V8 and ICU read the data that they read once from the system: time zone and locale data.
///
/// The script leaves nothing behind. It does not call `Math.random`, whose state in the context copies of a template
/// would share.
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
