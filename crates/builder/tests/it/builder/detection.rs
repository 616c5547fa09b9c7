//! Detection of used functions, in every form of use. `«` and `»` mark the first use of each function.

use super::{MAIN, RAW, assert_all, check, unmark};
use builder::{FunctionUse, Report};
use std::collections::BTreeSet;

/// Cases `(marked text, rules, names)`, built as a raw body.
const BODIES: &[(&str, &[&str], &[&str])] = &[
    // Calls
    ("Functions.«a»();", &[], &["a"]),
    ("await Functions.«a»({ x: 1 });", &[], &["a"]),
    ("Functions[«'a'»]();", &[], &["a"]),
    ("Functions[«`a`»]();", &[], &["a"]),
    ("Functions?.«a»?.();", &[], &["a"]),
    ("Functions?.[«'a'»]?.();", &[], &["a"]),
    ("(Functions).«a»();", &[], &["a"]),
    ("(Functions as any).«a»();", &[], &["a"]),
    ("Functions!.«a»();", &[], &["a"]),
    ("(<any>Functions).«a»();", &[], &["a"]),
    ("(Functions satisfies object).«a»();", &[], &["a"]),
    ("(0, Functions).«a»();", &[], &["a"]),
    ("(x ? Functions : Functions).«a»();", &[], &["a"]),
    ("(x || Functions).«a»();", &[], &["a"]),
    ("globalThis.Functions.«a»();", &[], &["a"]),
    ("globalThis['Functions'].«a»();", &[], &["a"]),
    ("globalThis['Func' + 'tions'].«a»();", &[], &["a"]),
    ("globalThis['\\x46unctions'].«a»();", &[], &["a"]),
    ("\\u0046unctions.«a»();", &[], &["a"]),
    ("Functions.«\\u0061»();", &[], &["a"]),
    ("Functions.«b»(); Functions.«a»(); Functions.b();", &[], &["a", "b"]),
    ("Functions.«a»(Functions.«b»());", &[], &["a", "b"]),
    ("new Functions.«A»();", &[], &["A"]),
    ("return `${await Functions.«a»()}`;", &[], &["a"]),
    ("Functions.«toString»();", &[], &["toString"]),
    // As values
    ("const f = Functions.«a»; f();", &[], &["a"]),
    ("[1].map(Functions.«a»);", &[], &["a"]),
    ("const table = { x: Functions.«a», y: Functions[«'b'»] };", &[], &["a", "b"]),
    ("Functions.«a».call(null, {});", &[], &["a"]),
    ("if (Functions.«a») Functions.a();", &[], &["a"]),
    ("typeof Functions.«a»;", &[], &["a"]),
    // The environment
    ("env.Functions.«a»();", &[], &["a"]),
    ("env['Functions'].«a»();", &[], &["a"]),
    ("const { Functions } = env; Functions.«a»();", &[], &["a"]),
    ("const { Functions: F } = env; F.«a»();", &[], &["a"]),
    ("const { Functions: { «a» } } = env; a();", &[], &["a"]),
    ("const { Functions: { «a»: b = null } = {} } = env; b();", &[], &["a"]),
    ("const { ['Functions']: F } = env; F.«a»();", &[], &["a"]),
    ("const { Plane, ...rest } = env; rest.Functions.«a»();", &[], &["a"]),
    ("const e = env; e.Functions.«a»();", &[], &["a"]),
    ("let F; ({ Functions: F } = env); F.«a»();", &[], &["a"]),
    // Destructuring
    ("const { «a» } = Functions; a();", &[], &["a"]),
    ("const { «a»: b, «c» = 1 } = Functions; b();", &[], &["a", "c"]),
    ("const { «'a'»: b, [«'c'»]: d } = Functions;", &[], &["a", "c"]),
    ("const { «a», ...others } = Functions; others.«b»();", &[], &["a", "b"]),
    ("let a; ({ «a» } = Functions); a();", &[], &["a"]),
    ("let a; ({ «x»: a } = Functions); a();", &[], &["x"]),
    ("for (const { Functions: F } of [env]) F.«a»();", &[], &["a"]),
    // Aliases
    ("const f = Functions; f.«a»();", &[], &["a"]),
    ("let f; f = Functions; f.«a»();", &[], &["a"]),
    ("const f = Functions; const g = f; g.«a»();", &[], &["a"]),
    ("g.«a»(); var g = f; var f = Functions;", &[], &["a"]),
    ("let f; f ??= Functions; f.«a»();", &[], &["a"]),
    ("const f = x ? Functions : null; f?.«a»();", &[], &["a"]),
    ("const f = Functions as Record<string, any>; f.«a»();", &[], &["a"]),
    ("const { f = Functions } = event; f.«a»();", &[], &["a"]),
    // Through the text's own functions
    ("function run(f) { f.«a»(); } run(Functions);", &[], &["a"]),
    ("const run = (x, f) => f.«a»(); run(1, Functions);", &[], &["a"]),
    ("run(Functions); function run({ «a», «b»: c }) { a(); }", &[], &["a", "b"]),
    ("function run(f = Functions) { f.«a»(); } run();", &[], &["a"]),
    ("function run({ Functions }) { Functions.«a»(); } run(env);", &[], &["a"]),
    ("function run(e) { e.Functions.«a»(); } run(env);", &[], &["a"]),
    ("const run = async ({ Functions: { «a» } }) => a(); run(env);", &[], &["a"]),
    ("((f) => f.«a»())(Functions);", &[], &["a"]),
    ("(function (f) { f.«a»(); })(Functions);", &[], &["a"]),
    ("function one(f) { two(f); } function two(f) { f.«a»(); } one(Functions);", &[], &["a"]),
    ("function run(ctx) { ctx.Functions.«a»(); } run({ Functions });", &[], &["a"]),
    ("[1].map(({ Functions }) => Functions.«a»());", &[], &["a"]),
    ("items.map((Functions) => Functions.«a»());", &[], &["a"]),
    // Through properties
    ("const ctx = { Functions }; ctx.Functions.«a»();", &[], &["a"]),
    ("const ctx = { fns: Functions }; ctx.fns.«a»();", &[], &["a"]),
    ("const ctx = { deep: { fns: Functions } }; ctx.deep.fns.«a»();", &[], &["a"]),
    ("const ctx = {}; ctx.fns = Functions; ctx.fns.«a»();", &[], &["a"]),
    ("const ctx = { fns: Functions }; const { fns } = ctx; fns.«a»();", &[], &["a"]),
    (
        "class C { constructor(f) { this.f = f; } run() { this.f.«a»(); } } new C(Functions).run();",
        &[],
        &["a"],
    ),
    (
        "class C { constructor(private f: any) {} run() { this.f.«a»(); } } new C(Functions).run();",
        &[],
        &["a"],
    ),
    (
        "class C { #f; constructor(f) { this.#f = f; } run() { this.#f.«a»(); } } new C(Functions);",
        &[],
        &["a"],
    ),
    ("class C { f = Functions; run() { this.f.«a»(); } }", &[], &["a"]),
    ("const o = { run(f) { f.«a»(); } }; o.run(Functions);", &[], &["a"]),
    // Computed names that are known
    ("const name = 'a'; Functions[«name»]();", &[], &["a"]),
    ("const name = x ? 'a' : 'b'; Functions[«name»]();", &[], &["a", "b"]),
    ("Functions[«x ? 'a' : 'b'»]();", &[], &["a", "b"]),
    ("const p = 'send'; Functions[«p + 'Mail'»](); Functions[«`${p}Sms`»]();", &[], &["sendMail", "sendSms"]),
    ("for (const name of ['a', 'b']) Functions[«name»]();", &[], &["a", "b"]),
    ("const { [«x ? 'a' : 'b'»]: f } = Functions;", &[], &["a", "b"]),
    // Computed names that are not known
    ("Functions[‹event.name›]();", &["functions-computed!"], &[]),
    ("let name = 'a'; Functions[‹name›]();", &["functions-computed!"], &[]),
    ("const f = Functions; f[‹event.name›]();", &["functions-computed!"], &[]),
    ("for (const name in Functions) Functions[‹name›]();", &["functions-computed!"], &[]),
    ("/* uses: «a», «b» */ Functions[event.name]();", &[], &["a", "b"]),
    ("// uses: «a»\nFunctions[event.name](); Functions.«b»();", &[], &["a", "b"]),
    // Uses that can't be followed
    ("other(‹Functions›);", &["functions-escape"], &[]),
    ("return Object.keys(‹Functions›);", &["functions-escape"], &[]),
    ("const list = [‹Functions›];", &["functions-escape"], &[]),
    ("const all = { ...‹Functions› };", &["functions-escape"], &[]),
    ("return ‹Functions›;", &["functions-escape"], &[]),
    ("/* uses: «a» */ other(Functions);", &[], &["a"]),
    ("console.log(Functions);", &[], &[]),
    ("if (Functions) work(); typeof Functions; !Functions; Functions === null;", &[], &[]),
    ("'a' in Functions;", &[], &[]),
    // Other values of the same name
    ("const Functions = { a() {} }; Functions.a();", &[], &[]),
    ("function run(Functions) { Functions.a(); } run({ a() {} });", &[], &[]),
    ("class Functions { static a() {} } Functions.a();", &[], &[]),
    ("{ let Functions = [1]; Functions.map(x => x); } Functions.«a»();", &[], &["a"]),
    ("try {} catch (Functions) { Functions.a; }", &[], &[]),
    ("const lib = { Functions: { a() {} } }; lib.Functions.a();", &[], &[]),
    ("event.payload.Functions.a;", &[], &[]),
    ("const { Functions } = event; Functions.a;", &[], &[]),
    ("input.event.Functions.a;", &[], &[]),
    ("const text = 'Functions.a()'; // Functions.b()", &[], &[]),
    ("type F = typeof Functions.a; let x: F;", &[], &[]),
    ("functions.a(); myFunctions.a(); x.Functions2.a();", &[], &[]),
];

const SCRIPTS: &[(&str, &[&str])] = &[
    ("async function main({ event }, { Functions }) { await Functions.«a»(); }", &["a"]),
    ("async function main(input, { Functions: F }) { await F.«a»(); }", &["a"]),
    ("async function main(input, { Functions: { «a», «b»: c } }) { await a(); }", &["a", "b"]),
    ("async function main(input, { Functions = {} } = {}) { await Functions.«a»(); }", &["a"]),
    ("export default async (input, env) => { await env.Functions.«a»(); };", &["a"]),
    ("export const main = async (input, variables) => variables.Functions.«a»();", &["a"]),
    (
        "async function main(input, env) { return step(env); }\nconst step = ({ Functions }) => Functions.«a»();",
        &["a"],
    ),
    ("async function main(...args) { return args[1].Functions.«a»(); }", &["a"]),
    ("async function main() { return arguments[1].Functions.«a»(); }", &["a"]),
    (
        "async function main(input, env) { const { Functions, ...rest } = env; return Functions.«a»(rest); }",
        &["a"],
    ),
    ("async function main({ event }) { return event.Functions.a; }", &[]),
    ("async function main(input) { return input.event.Functions.a; }", &[]),
    ("const { «a» } = Functions;\nasync function main() { return a(); }", &["a"]),
    ("enum E { X = 'a' }\nasync function main() { return Functions.«b»(E.X); }", &["b"]),
    ("namespace N { export const f = () => Functions.«a»(); }\nfunction main() { return N.f(); }", &["a"]),
    (
        "class C { @log run() { return Functions.«a»(); } }\nfunction log(x, y) {}\nfunction main() { new C(); }",
        &["a"],
    ),
];

/// Number of cases.
pub(super) fn cases() -> usize {
    BODIES.len() + SCRIPTS.len()
}

fn found(report: &Report, text: &str, names: &[&str]) -> Result<(), String> {
    let Some(build) = &report.build else { return Ok(()) };
    if build.function_names != names {
        return Err(format!("{text}\n  expected {names:?}, found {:?}", build.function_names));
    }
    let place = |found: &FunctionUse| {
        (found.start.line + 1, found.start.column + 1, found.end.line + 1, found.end.column + 1)
    };
    let places: BTreeSet<_> = build.function_uses.iter().map(place).collect();
    let expected: BTreeSet<_> = unmark(text).uses.into_iter().collect();
    if places != expected {
        return Err(format!("{text}\n  expected uses at {expected:?}, found {places:?}"));
    }
    Ok(())
}

#[test]
fn functions_used_in_raw_bodies_are_detected() {
    assert_all(BODIES.iter().map(|(text, rules, names)| found(&check(RAW, text, rules)?, text, names)));
}

#[test]
fn functions_used_in_scripts_are_detected() {
    assert_all(SCRIPTS.iter().map(|(text, names)| found(&check(MAIN, text, &[])?, text, names)));
}
