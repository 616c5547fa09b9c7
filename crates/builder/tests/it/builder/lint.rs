//! Findings of every lint rule with their positions, and code that the rule accepts.

use super::{MAIN, RAW, assert_all, check};

/// Cases `(marked text, rules)`, built as a raw body.
const BODIES: &[(&str, &[&str])] = &[
    // code-from-string
    ("‹eval›('1')", &["code-from-string"]),
    ("(0, ‹eval›)('1')", &["code-from-string"]),
    ("const run = ‹eval›;", &["code-from-string"]),
    ("‹globalThis.eval›('1')", &["code-from-string"]),
    ("‹globalThis['eval']›('1')", &["code-from-string"]),
    ("new ‹Function›('return 1')", &["code-from-string"]),
    ("‹Function›('return 1')()", &["code-from-string"]),
    ("const { make } = { make: ‹Function› }", &["code-from-string"]),
    ("if (x instanceof Function) x();", &[]),
    ("if (typeof x === 'function') x();", &[]),
    ("const evaluate = { eval() { return 1; } }; evaluate.eval();", &[]),
    ("function make(Function) { return new Function(); }", &[]),
    ("let f: Function = () => 1; return f();", &[]),
    ("‹(() => 1).constructor›;", &["code-from-string"]),
    ("‹x.‹constructor›.constructor›(y);", &["code-from-string", "prototype-access"]),
    // prototype-access
    ("event.‹__proto__›.admin = true;", &["prototype-access"]),
    ("event‹['__proto__']›", &["prototype-access"]),
    ("const { ‹__proto__›: base } = event;", &["prototype-access"]),
    ("const bare = { __proto__: null };", &[]),
    ("return event.‹constructor›.name;", &["prototype-access"]),
    ("const { ‹constructor› } = event;", &["prototype-access"]),
    ("return event.‹prototype›;", &["prototype-access"]),
    ("return Object.prototype.hasOwnProperty.call(event, 'a');", &[]),
    ("return Array.prototype.slice.call([1]);", &[]),
    ("class A { static x = 1; y() { return this.constructor.x; } }", &[]),
    ("class A { constructor() {} }\nA.prototype.z = 1;", &[]),
    ("function Old() {}\nOld.prototype.run = function () {};", &[]),
    // process-access
    ("return ‹process›.env.TOKEN;", &["process-access!"]),
    ("‹process›.exit(1);", &["process-access!"]),
    ("if (typeof process !== 'undefined') ‹process›.exit();", &["process-access"]),
    ("return ‹globalThis.process›;", &["process-access"]),
    ("const process = { env: {} }; return process.env;", &[]),
    ("return event.process;", &[]),
    ("function process(item) { return item; } return process(1);", &[]),
    // missing-global
    ("return ‹Buffer›.from('a');", &["missing-global"]),
    ("return typeof Buffer === 'undefined' ? 1 : Buffer.from('a');", &[]),
    ("‹window›.alert(1)", &["missing-global"]),
    ("new ‹WebAssembly›.Module(x)", &["missing-global"]),
    ("new ‹SharedArrayBuffer›(8)", &["missing-global"]),
    ("const Buffer = { from() {} }; Buffer.from();", &[]),
    ("return { ‹Buffer› };", &["missing-global"]),
    // module-system and node-module
    ("const _ = ‹require›('lodash');", &["module-system!"]),
    ("const _ = await ‹import('lodash')›;", &["module-system!"]),
    ("‹module›.exports = 1;", &["module-system!"]),
    ("‹exports›.main = 1;", &["module-system!"]),
    ("return ‹__dirname›;", &["module-system!"]),
    ("const require = (x) => x; return require('a');", &[]),
    ("const exports = {}; exports.a = 1;", &[]),
    ("const fs = ‹require›(‹'fs'›);", &["module-system!", "node-module!"]),
    ("const fs = await import(‹'node:fs/promises'›);", &["node-module!"]),
    // string-timer
    ("setTimeout(‹'tick()'›, 10);", &["string-timer"]),
    ("setInterval(‹`tick(${1})`›, 10);", &["string-timer"]),
    ("globalThis.setTimeout(‹'a' + b›, 10);", &["string-timer"]),
    ("setTimeout(() => 1, 10);", &[]),
    ("setTimeout(tick, 10); function tick() {}", &[]),
    ("const setTimeout = (text) => text; setTimeout('a');", &[]),
    // with-statement
    ("‹with› (event) { foo(); }", &["with-statement!"]),
    // endless-loop
    ("‹while› (true) {}", &["endless-loop"]),
    ("‹while› (1) { work(); }", &["endless-loop"]),
    ("‹for› (;;) { work(); }", &["endless-loop"]),
    ("‹for› (let i = 0; ; i++) { work(i); }", &["endless-loop"]),
    ("‹do› { work(); } while (!0);", &["endless-loop"]),
    ("while (true) { break; }", &[]),
    ("while (true) { if (a) return 1; }", &[]),
    ("for (;;) { throw new Error('x'); }", &[]),
    ("function* ids() { while (true) yield 1; }", &[]),
    ("‹while› (true) { [1].forEach(() => { return 2; }); }", &["endless-loop"]),
    ("‹while› (true) { switch (a) { case 1: break; } }", &["endless-loop"]),
    ("‹while› (true) { for (const a of b) break; }", &["endless-loop"]),
    ("outer: while (true) { for (const a of b) break outer; }", &[]),
    ("outer: ‹while› (true) { for (const a of b) continue outer; }", &["endless-loop"]),
    ("outer: for (const a of b) { while (true) { continue outer; } }", &[]),
    ("‹while› (true) { inner: { break inner; } }", &["endless-loop"]),
    ("‹while› (true) { await fetch('x'); }", &["endless-loop"]),
    ("‹for› (;;) { for await (const x of y) {} }", &["endless-loop"]),
    ("while (event.more) { work(); }", &[]),
    ("while (false) {}", &[]),
    // positions
    ("const a = '😀漢'; ‹eval›('1')", &["code-from-string"]),
    ("a();\r\n\r\n  ‹eval›('1')", &["code-from-string"]),
    ("‹eval›(1);\n‹eval›(2);", &["code-from-string", "code-from-string"]),
];

/// Cases built as whole scripts.
const SCRIPTS: &[(&str, &[&str])] = &[
    (
        "import { groupBy } from ‹'lodash'›;\nexport function main() { return groupBy([]); }",
        &["module-system!"],
    ),
    ("import * as _ from ‹\"lodash\"›;\nexport function main() { return _; }", &["module-system!"]),
    ("import ‹'side-effect'›;\nexport function main() {}", &["module-system!"]),
    ("import type { WorkItem } from 'sdk';\nexport function main(a: WorkItem) {}", &[]),
    ("import { WorkItem } from 'sdk';\nexport function main(a: WorkItem) {}", &[]),
    ("import { type A, b } from ‹'sdk'›;\nexport function main(a: A) { return b; }", &["module-system!"]),
    ("import fs from ‹'fs'›;\nexport function main() { fs.x(); }", &["node-module!"]),
    ("import fs from ‹'node:fs'›;\nexport function main() { fs.x(); }", &["node-module!"]),
    ("import fs = require(‹'fs'›);\nexport function main() { fs.x(); }", &["node-module!"]),
    ("export * from ‹'./other'›;\nexport function main() {}", &["module-system!"]),
    ("export { a } from ‹'./other'›;\nexport function main() {}", &["module-system!"]),
    ("export type { A } from './other';\nexport function main() {}", &[]),
    ("export function main() { return ‹import.meta›.url; }", &["module-system!"]),
    ("function main() {}\n‹module›.exports = { main };", &["module-system!"]),
    ("function main() {}\n‹exports›.main = main;", &["module-system!"]),
    ("async function main() {}\n‹await main()›;", &["top-level-await!"]),
    ("‹for await (const a of b) {}›\nfunction main() {}", &["top-level-await!"]),
    ("function main() { return ‹<b>x</b>›; }", &["jsx!"]),
    ("‹›const other = 1;", &["entry-point!"]),
    ("function main() {}\nfunction ‹main›() {}", &["entry-point!"]),
];

/// Cases `(marked text, rules)` of invalid programs, built as whole scripts.
const BROKEN: &[(&str, &[&str])] = &[
    ("function main() { return ‹)›; }", &["syntax!"]),
    ("function main() { const text = ‹'abc;›\n}", &["syntax!"]),
    ("function main() {\n  const a = ‹;›\n}", &["syntax!"]),
];

/// Cases of early errors, built as a raw body.
const EARLY: &[(&str, &[&str])] = &[
    ("let a; let ‹a›;", &["syntax!"]),
    ("let a; var ‹a›;", &["syntax!"]),
    ("var a; let ‹a›;", &["syntax!"]),
    ("const a = 1; function ‹a›() {}", &["syntax!"]),
    ("let x; { var ‹x›; }", &["syntax!"]),
    ("let [a, ‹a›] = [];", &["syntax!"]),
    ("switch (1) { case 1: let q; case 2: let ‹q›; }", &["syntax!"]),
    ("try {} catch (e) { let ‹e›; }", &["syntax!"]),
    ("function f(a) { let ‹a›; }", &["syntax!"]),
    ("const f = (a, ‹a›) => 1;", &["syntax!"]),
    ("function f({ a }, ‹a›) {}", &["syntax!"]),
    ("class A { #a; ‹#a›; }", &["syntax!"]),
    ("class A { m() { this.‹#b›; } }", &["syntax!"]),
    ("‹super›.x;", &["syntax!"]),
    ("function f() { ‹super›(); }", &["syntax!"]),
    ("({ __proto__: null, ‹__proto__›: a, ‹'__proto__'›: b });", &["syntax!", "syntax!"]),
    ("class A { static ‹prototype›() {} }", &["syntax!"]),
    ("class A { static ‹'prototype'› = 1; }", &["syntax!"]),
    ("class A { ‹constructor› = 1; }", &["syntax!"]),
    ("class A { ‹get› constructor() { return 1; } }", &["syntax!"]),
    ("class A { prototype = 1; static constructor() {} ['constructor'] = 1; }", &[]),
    ("const a = { __proto__: null, ['__proto__']: 1, __proto__() {} };", &[]),
    ("var a; var a; function a() {} function a() {}", &[]),
    ("let a; { let a; { let a; } } for (let a of b) { let a; }", &[]),
    ("try {} catch (e) { var e; } { function f() {} function f() {} }", &[]),
    ("function f(a, a) { var a; } function g(a) { function a() {} }", &[]),
    ("const event = 1, input = 2, context = 3, env = 4;", &[]),
    ("class A { #a; get #b() { return this.#a; } set #b(x) {} static has(o) { return #a in o; } }", &[]),
    ("class A extends B { constructor() { super(); } m() { return () => super.m(); } x = super.y; }", &[]),
    ("const o = { m() { return super.m(); }, get g() { return super.g; } };", &[]),
    (
        "function f(x: string): void; function f(x: number): void; function f(x) {} class C { m(): void; m(a?) {} }",
        &[],
    ),
    (
        "enum E { A } enum E { B = 1 } namespace N { const a = 1 } namespace N { const a = 1 } class K {} namespace K {}",
        &[],
    ),
    ("interface A { x: 1 } interface A { y: 2 } const A = 1; type T = 1; let T;", &[]),
];

/// Number of cases.
pub(super) fn cases() -> usize {
    BODIES.len() + SCRIPTS.len() + BROKEN.len() + EARLY.len()
}

#[test]
fn early_errors_of_v8_are_reported_by_the_lint() {
    assert_all(EARLY.iter().map(|(text, rules)| check(RAW, text, rules).map(drop)));
}

#[test]
fn bodies_are_linted() {
    assert_all(BODIES.iter().map(|(text, rules)| check(RAW, text, rules).map(drop)));
}

#[test]
fn scripts_are_linted() {
    assert_all(SCRIPTS.iter().map(|(text, rules)| check(MAIN, text, rules).map(drop)));
}

#[test]
fn syntax_errors_have_their_place() {
    assert_all(BROKEN.iter().map(|(text, rules)| check(MAIN, text, rules).map(drop)));
}
