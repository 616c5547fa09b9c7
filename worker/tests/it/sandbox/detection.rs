//! Compares the builder with V8: texts that it accepts compile, and functions that a run calls were detected.

use super::{Finished, Verdict, job_of, pool, raw, run};
use builder::{Build, Diagnostic, Unit, build};
use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use sandbox_protocol::Job;
use shared::execution::CodeType;
use std::collections::{BTreeMap, BTreeSet};

const NAMES: [&str; 8] = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta"];

/// Ways to call functions: `$a` and `$b` are functions, `$i` makes variables unique. Each calls the functions that it names.
const CALLS: &[&str] = &[
    "await Functions.$a({});",
    "await Functions['$a']({});",
    "await Functions?.[`$a`]?.({});",
    "await (0, Functions).$a({});",
    "await (Functions as any)!.$a({});",
    "const { $a: v$i } = Functions; await v$i({});",
    "const { $a: v$i = null, ...w$i } = Functions; await v$i({}); await w$i.$b({});",
    "const v$i = Functions; await v$i.$a({});",
    "let v$i; v$i = Functions; await v$i.$a({});",
    "let v$i; v$i ??= Functions; await v$i?.$a({});",
    "let v$i = null || Functions, w$i = v$i; await w$i.$a({});",
    "await env.Functions.$a({});",
    "const v$i = env; await v$i['Functions'].$a({});",
    "const { Functions: v$i } = env; await v$i.$a({});",
    "const { Functions: { $a: v$i, $b: w$i } } = env; await v$i({}); await w$i({});",
    "let v$i; ({ Functions: v$i } = env); await v$i.$a({});",
    "let v$i; ({ $a: v$i } = Functions); await v$i({});",
    "for (const { Functions: v$i } of [env]) await v$i.$a({});",
    "for (const v$i of ['$a', '$b']) await Functions[v$i]({});",
    "const v$i = '$a'; await Functions[v$i]({});",
    "const v$i = input.none ? '$a' : '$b'; await Functions[v$i]({});",
    "await Functions[input.none ? '$a' : '$b']({});",
    "await globalThis.Functions.$a({});",
    "await globalThis['Func' + 'tions'].$a({});",
    "await this.Functions.$a({});",
    "await (input.none ?? Functions).$a({});",
    "await (input.none || env).Functions.$a({});",
    "await (input.none ? null : Functions).$a({});",
    "await [{}].map(Functions.$a)[0];",
    "await Promise.resolve({}).then(Functions.$a);",
    "await Functions.$a.call(null, {});",
    "await Functions.$a.bind(null, {})();",
    "await Functions.$a``;",
    "const v$i = { go: Functions.$a, w: { f: Functions } }; await v$i.go({}); await v$i.w.f.$b({});",
    "const v$i = {}; v$i.f = Functions; await v$i.f.$a({});",
    "async function v$i(f) { return f.$a({}); } await v$i(Functions);",
    "const v$i = async (x, f = Functions) => f.$a(x); await v$i({});",
    "await v$i(env); async function v$i({ Functions: { $a: f } }) { return f({}); }",
    "await (({ Functions: f }) => f.$a({}))(env);",
    "await (function (f) { return f.$a({}); })(Functions);",
    "class V$i { constructor(f) { this.f$i = f; } go() { return this.f$i.$a({}); } } await new V$i(Functions).go();",
    "class V$i { constructor(private readonly f$i: any) {} go() { return this.f$i.$a({}); } } await new V$i(Functions).go();",
    "class V$i { #f = Functions; go() { return this.#f.$a({}); } } await new V$i().go();",
    "class V$i { static f$i = Functions; static { V$i.f$i.$a({}); } }",
    "const v$i = { go(f) { return f.$a({}); } }; await v$i.go(Functions);",
    "enum V$i { A = '$a' } await Functions[V$i.A]({});",
    "namespace V$i { export const go = () => Functions.$a({}); } await V$i.go();",
    "const v$i = () => { const { $a: w } = Functions; return w; }; await v$i()({});",
    "try { throw Functions; } catch (v$i) { await v$i.$a({}); }",
    "async function* v$i() { yield Functions.$a({}); } for await (const w of v$i()) void w;",
    "label$i: { await Functions.$a({}); break label$i; }",
    "switch (Functions.$a && 1) { case 1: await Functions.$a({}); }",
    "await [Functions][0].$a({});",
    "await ({ ...env, Functions }).Functions.$a({});",
    "await Object.assign({}, { Functions }).Functions.$a({});",
    "await Reflect.get(Functions, '$a')({});",
    "const v$i = { get f() { return Functions; } }; await v$i.f.$a({});",
    "const v$i = new Map([['f', Functions]]); await v$i.get('f').$a({});",
    "await F\\u0075nctions.$a({});",
    "{ const Functions = { $b() {} }; Functions.$b(); } await Functions.$a({});",
    "((Functions) => Functions.length)([1]); await Functions.$a({});",
    "function v$i() { return arguments[0].Functions.$a({}); } await v$i(env);",
    "const v$i = (...w) => w[0].Functions.$a({}); await v$i(env);",
    "const [v$i = Functions] = []; await v$i.$a({});",
    "var v$i = Functions; { let v$i = { $b() {} }; v$i.$b(); } await v$i.$a({});",
    "/* uses: $a */ await Functions[Object.keys({ $a: 1 })[0]]({});",
];

/// Statements of all kinds: valid ones, and ones that break rules that apply to the whole text.
const STATEMENTS: &[&str] = &[
    "let a = 1;",
    "const b: number = a!;",
    "var a;",
    "let c = function* () { yield* [1]; };",
    "function f(x, y = 1, ...z) { return arguments.length; }",
    "async function g() { for await (const x of []) ; }",
    "class A<T> extends Object { #p = 1; static s = 2; get p() { return this.#p; } set p(v) {} }",
    "class B { #p; m() { return #p in this; } static { this.s = super.toString; } }",
    "class C { async *[Symbol.iterator]() {} accessor x = 1; }",
    "enum E { A, B = A << 1, C = 'c' }",
    "const enum F { A = 1 } a = F.A;",
    "namespace N { export let x = 1; export namespace M { export const y = x; } }",
    "type T = { a?: string } & Record<string, unknown>;",
    "interface I extends T { (x: number): void; new (): I; }",
    "declare const later: string;",
    "abstract class D { abstract m(): void; constructor(public readonly q: string) {} }",
    "label: for (;;) { break label; }",
    "outer: for (const x of []) { for (const y in x) continue outer; }",
    "do ; while (false) let d;",
    "if (a) function h() {}",
    "switch (a) { case 1: let s; default: { let s; } }",
    "try { throw a } catch { } finally { }",
    "try { } catch ({ message }) { var message; }",
    "const { x: { y: [z1] = [] } = {}, ...rest } = {};",
    "[a, ...b1] = [1]; var b1;",
    "({ a, b: a = 1 } = {});",
    "a ||= a &&= a ??= 1;",
    "a = a ? b => ({ b }) : async (b) => await b;",
    "a = `t${`u${a}`}` + String.raw`\\unicode`;",
    "a = /[/\\]]+/giu.test('x') / 2;",
    "a = 0b1 + 0o7 + 0xf + 1_000 + 1n + .5e-1;",
    "a = <any>b; a = b as unknown as string; a = b satisfies number;",
    "new.target;",
    "delete a.b; void 0; typeof a; +a; -a; ~a; !a;",
    "a?.b?.[c]?.(); a ** b; (-a) ** b; a ?? (b || c);",
    "import.meta;",
    "using u = null;",
    "await using v = null;",
    "return;",
    "yield;",
    "break;",
    "continue;",
    "debugger;",
    "let let1 = 1, yield1, async, of, get, set, static1, type, declare;",
    "var async = async => async; async(async);",
    "'use strict'; var public1 = 010;",
    "with (a) b;",
    "delete a;",
    "arguments = 1; eval = 1;",
    "function dup(p, p) {}",
    "(p, p) => 1;",
    "function strict() { 'use strict'; return 010; }",
    "function params(p = 1) { 'use strict'; }",
    "({ __proto__: null, __proto__: 1 });",
    "({ get x() { return 1 }, set x(v) { }, async *y() {} });",
    "class G { constructor() {} constructor() {} }",
    "class H { static prototype() {} }",
    "class H1 { static prototype = 1; }",
    "class H2 { static get 'prototype'() { return 1 } }",
    "class H3 { static ['prototype'] = 1; prototype = 1; }",
    "class H4 { constructor = 1; }",
    "class H5 { static constructor = 1; }",
    "class H6 { get constructor() { return 1 } }",
    "class H7 { async constructor() {} }",
    "class H8 { *'constructor'() {} }",
    "class H9 { #constructor = 1; }",
    "class H10 { static constructor() {} static *constructor1() {} ['constructor'] = 1; }",
    "abstract class H11 { declare constructor1: number; abstract prototype: string; }",
    "({ '__proto__': 1, __proto__: 2 });",
    "({ __proto__: 1, ['__proto__']: 2, __proto__() {} });",
    "let __proto__; ({ __proto__, __proto__: 2 });",
    "({ __proto__: a, __proto__: a } = {});",
    "class J extends K { constructor() { super(); super.x; } } class K {}",
    "function notSuper() { super.x; }",
    "let undefined1; for (let i = 0, j; i < 1; i++) { let i; }",
    "for (var k of []) { var k; } for (let l of []) { var l; }",
    "for (const m = 1; ;) break;",
    "for (let of []) ;",
    "a\n++b;",
    "var \\u0061b = '\\u{1F600}\\x41\\\n';",
    "x: y: x: ;",
    "function* gen(p = yield) {}",
    "async (p = await 1) => 1;",
    "async function aw() { (await) => 1; }",
    "@dec class L { @dec m() {} @dec f = 1; } function dec(...x) {}",
    "let [] = []; let {} = {};",
    "const noInit;",
    "let dup1, dup1;",
    "1 = a; a() = 1; (a) = 1; [a()] = [];",
    "if (1) let\n{}",
    "if (1) class M {}",
    "while (0) const n1 = 1;",
];

/// Returns a runner that generates the same texts in every test run, so that a failure can be reproduced.
fn runner() -> TestRunner {
    TestRunner::new_with_rng(Config::default(), TestRng::deterministic_rng(RngAlgorithm::ChaCha))
}

fn sample<T: std::fmt::Debug>(strategy: &impl Strategy<Value = T>, runner: &mut TestRunner) -> T {
    strategy.new_tree(runner).expect("nothing is filtered").current()
}

/// Generates some calls in a row, in one block or in blocks of their own.
fn program() -> impl Strategy<Value = String> {
    // The two names differ, since the rest of a pattern does not contain the members that it took out.
    let names = (0..NAMES.len(), 1..NAMES.len())
        .prop_map(|(first, step)| (NAMES[first], NAMES[(first + step) % NAMES.len()]));
    let call = (prop::sample::select(CALLS), names, any::<bool>());
    prop::collection::vec(call, 1..6).prop_map(|calls| {
        let lines = calls.iter().enumerate().map(|(index, (call, (a, b), block))| {
            let line = call.replace("$a", a).replace("$b", b).replace("$i", &index.to_string());
            if *block { format!("{{ {line} }}") } else { line }
        });
        lines.collect::<Vec<_>>().join("\n")
    })
}

/// Returns a job with all functions. Each of them logs that it is called.
fn instrumented(code_type: CodeType, text: &str) -> Job {
    let functions: BTreeMap<String, _> = NAMES
        .iter()
        .map(|name| {
            let code = format!("function {name}() {{ console.log('called {name}'); return {{}}; }}");
            let report = build(Unit::Function { name, parameters: &[] }, &code);
            ((*name).to_owned(), report.build.expect("it is sound").code)
        })
        .collect();
    Job { functions, input: raw("{}"), ..job_of(code_type, text) }
}

fn called(finished: &Finished) -> BTreeSet<String> {
    finished
        .messages()
        .iter()
        .filter_map(|message| message.strip_prefix("called "))
        .map(str::to_owned)
        .collect()
}

/// Returns true if a finding tells the author that names may be missing, and how to list them.
fn is_told(diagnostics: &[Diagnostic]) -> bool {
    diagnostics.iter().any(|found| found.rule.starts_with("functions-"))
}

#[tokio::test]
async fn every_function_that_a_run_calls_was_detected() {
    let pool = pool(1).await;
    let mut runner = runner();
    let (mut compared, mut told) = (0, 0);
    let alone =
        CALLS.iter().map(|call| call.replace("$a", NAMES[0]).replace("$b", NAMES[1]).replace("$i", "0"));
    let together = (0..400).map(|_| sample(&program(), &mut runner));
    for text in alone.collect::<Vec<_>>().into_iter().chain(together) {
        let report = build(Unit::Script(CodeType::Raw), &text);
        // An author who lists names is responsible for the rest of the text as well.
        let silent = !is_told(&report.diagnostics) && !text.contains("/* uses:");
        let Some(Build { function_names, .. }) = report.build else {
            assert!(!silent, "{text}\n{:?}", report.diagnostics);
            told += 1;
            continue;
        };
        let finished = run(&pool, instrumented(CodeType::Raw, &text)).await;
        assert!(matches!(finished.outcome.verdict, Verdict::Completed(_)), "{text}\n{:?}", finished.outcome);
        let called = called(&finished);
        assert!(!called.is_empty(), "nothing was called:\n{text}");
        let missed: Vec<_> = called.iter().filter(|name| !function_names.contains(name)).collect();
        assert!(missed.is_empty() || !silent, "missed {missed:?} of {called:?}:\n{text}");
        for name in &function_names {
            assert!(text.contains(name.as_str()), "{name} is not in the text:\n{text}");
        }
        compared += usize::from(silent);
        told += usize::from(!silent);
    }
    assert!(compared > 150 && told < compared * 2, "{compared} compared, {told} told");
}

#[tokio::test]
async fn code_accepted_by_the_builder_compiles_in_v8() {
    let pool = pool(1).await;
    let mut runner = runner();
    let statements = prop::collection::vec(prop::sample::select(STATEMENTS), 1..5);
    let alone = STATEMENTS.iter().map(|statement| (*statement).to_owned());
    let together = (0..1_500).map(|_| sample(&statements, &mut runner).join("\n"));
    let mut accepted = 0;
    let mut refused_by_v8 = Vec::new();
    for text in alone.collect::<Vec<_>>().into_iter().chain(together) {
        // V8 compiles the whole text, and runs nothing after the first line.
        let text = format!("return 1;\n{text}");
        if build(Unit::Script(CodeType::Raw), &text).build.is_none() {
            continue;
        }
        accepted += 1;
        let finished = run(&pool, job_of(CodeType::Raw, &text)).await;
        if !matches!(finished.outcome.verdict, Verdict::Completed(_)) {
            refused_by_v8.push(format!("{text}\n{:?}", finished.error()));
        }
    }
    assert!(refused_by_v8.is_empty(), "{}", refused_by_v8.join("\n\n"));
    assert!(accepted > 300, "{accepted} texts were accepted");
}
