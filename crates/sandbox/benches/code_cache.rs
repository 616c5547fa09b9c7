//! Benchmark of V8's code cache for the start of runs. ADR 8 has the figures.
//!
//! Run with `cargo bench --workspace --profile dev --bench code_cache`; the measured code is V8's own. Every round has
//! its own isolate, as every run has.

use builder::{BundledImports, Unit, build_with_imports, imports};
use shared::execution::CodeType;
use std::{
    fmt::Write,
    path::Path,
    time::{Duration, Instant},
};
use v8::script_compiler::{CachedData, CompileOptions, NoCacheReason, Source, compile_unbound_script};

const ROUNDS: usize = 300;
const UNIT: Unit<'static> = Unit::Script(CodeType::MainFn);

fn main() {
    v8::V8::set_flags_from_string("--single-threaded");
    v8::V8::initialize_platform(v8::new_single_threaded_default_platform(false).make_shared());
    v8::V8::initialize();
    let ten = include_str!("../../builder/benches/script.ts");
    println!("build                 bytes   compile µs: plain, cached; cache bytes; making one µs");
    for (name, code) in [
        ("one line", built("function main() { return 1; }", None)),
        ("10 KB of TypeScript", built(ten, None)),
        ("250 KB of JavaScript", built(&large(), None)),
        ("with a 65 KB package", built("import 'package'; export function main() {}", Some(package()))),
    ] {
        measure(name, &code);
    }
}

fn built(code: &str, package: Option<String>) -> String {
    let bundled = BundledImports { code: package.unwrap_or_default(), imports: imports(UNIT, code) };
    build_with_imports(UNIT, code, &bundled).build.expect("the script is valid").code
}

/// Returns the code of a package that is installed for the runtime.
fn package() -> String {
    let file = Path::new(sandbox::RUNTIME_MODULES).join("node_modules/web-streams-polyfill/dist/ponyfill.js");
    let text = std::fs::read_to_string(file).expect("the module is installed");
    format!("(() => {{ const exports = {{}}, module = {{ exports }};\n{text}\nreturn exports; }})()")
}

fn large() -> String {
    let mut code = String::new();
    for index in 0..1_600 {
        let _ = writeln!(
            code,
            "function step{index}(a, b) {{ const list = [a, b, {index}]; return list.map((x) => x * 2).filter((x) => x > {index}); }};"
        );
    }
    code.push_str("function main() { return step1(1, 2); }");
    code
}

fn measure(name: &str, code: &str) {
    let (cache, making) = cache_of(code);
    let mut plain: Vec<Duration> = (0..ROUNDS).map(|_| compile(code, None)).collect();
    let mut cached: Vec<Duration> = (0..ROUNDS).map(|_| compile(code, Some(&cache))).collect();
    plain.sort_unstable();
    cached.sort_unstable();
    let median = |times: &[Duration]| times[ROUNDS / 2].as_micros();
    println!(
        "{name:20} {:>7} {:>9}, {:>5}; {:>8}; {}",
        code.len(),
        median(&plain),
        median(&cached),
        cache.len(),
        making.as_micros()
    );
}

/// Measures the compilation and evaluation of a build in a fresh isolate.
fn compile(code: &str, cache: Option<&[u8]>) -> Duration {
    let mut isolate = v8::Isolate::new(v8::CreateParams::default());
    v8::scope!(let scope, &mut isolate);
    let context = v8::Context::new(scope, v8::ContextOptions::default());
    let scope = &mut v8::ContextScope::new(scope, context);
    let text = v8::String::new(scope, code).expect("the text fits");
    let began = Instant::now();
    let mut source = match cache {
        Some(cache) => Source::new_with_cached_data(text, None, CachedData::new(cache)),
        None => Source::new(text, None),
    };
    let options =
        if cache.is_some() { CompileOptions::ConsumeCodeCache } else { CompileOptions::NoCompileOptions };
    let script = compile_unbound_script(scope, &mut source, options, NoCacheReason::NoReason)
        .expect("the build compiles");
    let value = script.bind_to_current_context(scope).run(scope);
    let took = began.elapsed();
    assert!(value.is_some_and(|value| value.is_function()));
    assert!(cache.is_none() || source.get_cached_data().is_some_and(|data| !data.rejected()));
    took
}

/// Makes the cache after one evaluation of the build, and measures the time for making it.
fn cache_of(code: &str) -> (Vec<u8>, Duration) {
    let mut isolate = v8::Isolate::new(v8::CreateParams::default());
    v8::scope!(let scope, &mut isolate);
    let context = v8::Context::new(scope, v8::ContextOptions::default());
    let scope = &mut v8::ContextScope::new(scope, context);
    let text = v8::String::new(scope, code).expect("the text fits");
    let mut source = Source::new(text, None);
    let script =
        compile_unbound_script(scope, &mut source, CompileOptions::NoCompileOptions, NoCacheReason::NoReason)
            .expect("the build compiles");
    script.bind_to_current_context(scope).run(scope).expect("the build runs");
    let began = Instant::now();
    let cache = script.create_code_cache().expect("there is a cache");
    (cache.to_vec(), began.elapsed())
}
