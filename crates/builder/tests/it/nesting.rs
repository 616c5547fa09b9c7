//! Hostile nesting: gives a diagnostic, and neither overflows the stack nor takes minutes of parsing.

use builder::{Report, Unit, build};
use shared::execution::CodeType;
use std::time::{Duration, Instant};

const SCRIPT: Unit<'static> = Unit::Script(CodeType::MainFn);

/// Cases `(name, opening, middle, closing)`. The opening and the closing are repeated.
const SHAPES: &[(&str, &str, &str, &str)] = &[
    ("parentheses", "(", "1", ")"),
    ("arrays", "[", "", "]"),
    ("objects", "{a:", "1", "}"),
    ("blocks", "{", "", "}"),
    ("calls as arguments", "f(", "", ")"),
    ("calls in a chain", "f", "", "()"),
    ("members", "a", "", ".a"),
    ("private members", "a", "", ".#a"),
    ("optional members", "a", "", "?.a"),
    ("indices", "a", "", "[0]"),
    ("indices inside", "a[", "0", "]"),
    ("additions", "1", "", "+1"),
    ("powers", "1", "", "**1"),
    ("comparisons", "a", "", "<a"),
    ("logical", "a", "", "||a"),
    ("coalescing", "a", "", "??a"),
    ("ternaries", "a?b:", "c", ""),
    ("ternaries inside", "a?", "b", ":c"),
    ("ternaries of parentheses", "a?(b):", "c", ""),
    ("ternaries that look like arrows", "a?(b):c=>", "d", ""),
    ("assignments", "a=", "1", ""),
    ("arrows", "a=>", "1", ""),
    ("arrows with parentheses", "(a)=>", "1", ""),
    ("arrows with types", "(a:b):c=>", "1", ""),
    ("arrows with defaults", "(a=", "1", ")=>1"),
    ("async arrows", "async a=>", "1", ""),
    ("async calls", "async(", "1", ")"),
    ("generic arrows", "<T>(a=", "1", ")=>1"),
    ("negations", "!", "1", ""),
    ("signs", "- ", "1", ""),
    ("typeof", "typeof ", "1", ""),
    ("new", "new ", "A", ""),
    ("new with arguments", "new A(", "", ")"),
    ("templates", "`${", "1", "}`"),
    ("tagged templates", "a", "", "``"),
    ("functions", "(function(){", "", "})"),
    ("function statements", "function f(){", "", "}"),
    ("async functions", "async function f(){", "", "}"),
    ("classes", "class A{a(){", "", "}}"),
    ("class heritage", "class A extends class ", "{}", "{}"),
    ("heritage of class expressions", "x=class A extends ", "{}", "{}"),
    ("heritage in parentheses", "class A<T extends B> extends (", "{}", "){}"),
    ("heritage in functions", "class A extends f(()=>{return ", "{}", "}){}"),
    ("static blocks", "class A{static{", "", "}}"),
    ("if", "if(a)", "b", ""),
    ("if else", "if(a)b;else ", "c", ""),
    ("if else with blocks", "if(a){b}else ", "c", ""),
    ("for", "for(;;)", "b", ""),
    ("for of", "for(a of b)", "b", ""),
    ("while", "while(a)", "b", ""),
    ("do while", "do ", "b", ";while(a)"),
    ("do while with deep tests", "do ", "b;while((((((((((a))))))))))", ";while((a))"),
    ("with", "with(a)", "b", ""),
    ("labels", "a:", "b", ""),
    ("try", "try{", "", "}catch{}"),
    ("switch", "switch(a){case 1:", "", "}"),
    ("sequences", "(a,", "b", ")"),
    ("spreads", "[...", "a", "]"),
    ("patterns", "[[a]=", "b", "]=c"),
    ("array patterns", "let [", "a", "]=b"),
    ("object patterns", "({a:", "b", "}={})"),
    ("decorators", "@(", "a", ")class A{}"),
    ("regular expressions after blocks", "{}/a/;(", "1", ")"),
    ("type arguments", "let a:A<", "b", ">"),
    ("array types", "let a:b", "", "[]"),
    ("object types", "let a:{b:", "c", "}"),
    ("function types", "let a:()=>", "b", ""),
    ("function types only", "()=>", "b", ""),
    ("conditional types", "type A=B extends C?D:", "E", ""),
    ("nested conditional types", "type A=", "B", " extends C?D:E"),
    ("keyof", "let a:keyof ", "b", ""),
    ("tuple types", "type A=[", "", "]"),
    ("parenthesised types", "type A=(", "b", ")"),
    ("unions of parenthesised types", "type A=|(", "b", ")"),
    ("mapped types", "type A={[k in ", "B", "]:C}"),
    ("template types", "type A=`${", "B", "}`"),
    ("qualified types", "let a:b", "", ".b"),
    ("indexed types", "let a:b[", "c", "]"),
    ("infer", "type A=B extends infer ", "C", "?D:E"),
    ("type assertions", "<T>", "a", ""),
    ("as", "a", "", " as b"),
    ("satisfies", "a", "", " satisfies b"),
    ("non null", "a", "", "!"),
    ("instantiations", "a<", "b", ">"),
    ("instantiation calls", "a<b>(", "c", ")"),
    ("typed calls", "a<", "b", ">()"),
    ("namespaces", "namespace a{", "", "}"),
    ("dotted namespaces", "namespace a", "", ".a"),
    ("JSX", "<a>", "", "</a>"),
    ("JSX attributes", "<a b=<", "a/>", "/>"),
    ("JSX attributes on lines", "<a\nb=", "<a/>", ""),
    ("JSX text on lines", "<a>x\ny", "", ""),
    ("await", "await ", "a", ""),
    ("yield", "yield ", "a", ""),
    ("comments between", "!/*;*/", "a", ""),
    ("strings between", "';'+!", "a", ""),
    ("regular expressions between", "/[;/]/+!", "a", ""),
    ("hidden behind HTML comments", "<!-- '\\\n(", "a", ")"),
    ("hidden behind a type's end", "type A=b\n/\"/;(", "a", ")"),
    ("hidden behind a wide space", "a=\u{a0}/\"/;(", "a", ")"),
    ("hidden behind a number", "1./\"/1;(", "a", ")"),
    ("exports", "export default (", "a", ")"),
    ("imports", "import(", "a", ")"),
];

/// Cases whose lines start with words that could start a statement, but continue an open expression.
const LINE_SHAPES: &[(&str, &str, &str, &str)] = &[
    ("assigned functions", "x =\nfunction(){", "", "}"),
    ("returned functions", "return\nfunction f(){", "", "}"),
    ("function arguments", "f(\nfunction(){", "", "})"),
    ("async function arguments", "f(\nasync function(){", "", "})"),
    ("chained assignments of functions", "a =\nfunction(){}.a =\n", "b", ""),
    ("function declarations inside", "function f()\n{\n", "", "}\n"),
    ("functions after values inside", "a\nfunction f(){\n", "", "}\n"),
    ("function operands", "function(){}\n+\n", "a", ""),
    ("class heritage", "class A extends\n", "B{}", "\n{}"),
    ("decorated class heritage", "class A extends @b\n", "class{}", "{}"),
    ("doubly decorated class heritage", "class A extends @b\n@c.d\n", "class{}", "{}"),
    ("class heritage decorated with calls", "class A extends @b(1)\n", "class{}", "{}"),
    ("class heritage decorated with types", "class A extends @b<keyof\nc>(1)\n", "class{}", "{}"),
    ("class heritage decorated with escapes", "class A extends @\\u{61}\n", "class{}", "{}"),
    ("decorated statements of if", "if(a)@b\nclass C{}else ", "d", ""),
    ("decorated labels", "@a\nlabel:", "b", ""),
    ("decorated statements", "for(a of b)@c\n", "d", ""),
    ("decorated operands", "+@a\n", "b", ""),
    ("decorated assignments", "x=@a\n", "b", ""),
    ("decorated members of classes", "class A{\n@b\nc=\n", "1", "}"),
    ("statements of if", "if(a)\n", "b", ""),
    ("do while", "do\n", "b", "\nwhile(a)"),
    ("do while in if else", "if(a)do b;while(c);else ", "d", ""),
    ("do while of while in if else", "if(a)do while(b)c;while(d);else ", "e", ""),
    ("do while on lines in if else", "if(a)do b\nwhile(c)\nelse ", "d", ""),
];

/// Cases whose start would hide the brackets from a scan without JSX, but not from a parser with JSX.
const HIDDEN_BY_JSX: &[&str] = &["x=<a>`</a>;", "x=<a>/*</a>;", "x=<a>//</a>;", "x=<a>'</a>;"];

fn build_in_time(name: &str, unit: Unit<'_>, code: &str) -> Report {
    let started = Instant::now();
    let report = build(unit, code);
    let took = started.elapsed();
    assert!(took < Duration::from_secs(10), "{name}, {} bytes, took {took:?}", code.len());
    report
}

#[test]
fn nesting_of_any_shape_and_depth_does_not_overflow_the_stack() {
    for &(name, open, middle, close) in SHAPES {
        let mut depth = 8;
        loop {
            let code = format!("{}{middle}{}", open.repeat(depth), close.repeat(depth));
            if code.len() > 256 * 1024 {
                break;
            }
            for unit in [SCRIPT, Unit::Script(CodeType::Raw), Unit::Function { name: "f", parameters: &[] }] {
                build_in_time(name, unit, &code);
            }
            depth = if depth < 64 {
                depth + 8
            } else if depth < 4096 {
                depth * 4
            } else {
                depth * 3 / 2
            };
        }
    }
}

#[test]
fn nesting_inside_jsx_does_not_overflow_the_stack() {
    for hidden in HIDDEN_BY_JSX {
        for open in ["(", "!", "<a>", "<a\nb=", "x=>", "[", "a?"] {
            let code = format!("{hidden}{}", open.repeat(250_000 / open.len()));
            for unit in [SCRIPT, Unit::Script(CodeType::Raw), Unit::Function { name: "f", parameters: &[] }] {
                let report = build_in_time(hidden, unit, &code);
                assert!(report.build.is_none(), "{hidden}{open}");
            }
        }
    }
}

#[test]
fn build_time_is_not_quadratic_for_repeated_code() {
    for line in [
        "??,/a/",
        "window;typeof a;",
        "const m#={a(b){}};m#.a(Functions);",
        "//uses:a ",
        "@a\nlabel:",
        "f(Functions);function f(a){};",
    ] {
        let count = 250_000 / (line.len() + 4 * line.matches('#').count());
        let lines = (0..count).map(|i| line.replace('#', &i.to_string())).collect::<String>();
        let started = Instant::now();
        build(SCRIPT, &format!("function main() {{}}\n{lines}"));
        let took = started.elapsed();
        assert!(took < Duration::from_secs(2), "{line} took {took:?}");
    }
}

#[test]
fn a_line_that_starts_like_a_statement_hides_no_nesting() {
    for &(name, open, middle, close) in LINE_SHAPES {
        let code = format!("{}{middle}{}", open.repeat(1_500), close.repeat(1_500));
        let report = build_in_time(name, SCRIPT, &code);
        let rules: Vec<_> = report.diagnostics.iter().map(|diagnostic| &*diagnostic.rule).collect();
        assert_eq!(rules, ["nesting"], "{name}");
    }
}

#[test]
fn declarations_one_per_line_are_never_too_deep() {
    for line in [
        "function f#() { return 1; }\n",
        "function f#() { return 1 }\n\n",
        "async function f#() { return await 1; }\n",
        "function* f#() { yield 1; }\n",
        "class C# { a() { return 1; } }\n",
        "abstract class C# { a(): number { return 1; } }\n",
        "@decorate(#) class C# { a() { return 1; } }\n",
        "@decorate(#)\n@decorate\nclass C# {\n  @log\n  a() { return 1; }\n}\n",
        "const c# = (a: number) => a + #\n",
        "const c# = function () { return # }\n",
        "declare function f#(a: number): string\n",
        "if (input) { log(#) }\n",
        "for (const a of input) { log(a, #) }\n",
        "while (input.next()) { log(#) }\n",
        "do { log(#) } while (input.next());\n",
    ] {
        let lines = (0..2_000).map(|i| line.replace('#', &i.to_string())).collect::<String>();
        let code =
            format!("declare const log: any, decorate: any\n{lines}async function main(input: any) {{}}\n");
        let report = build_in_time(line, SCRIPT, &code);
        assert!(report.build.is_some(), "{line}{:?}", report.diagnostics.first());
    }
}

#[test]
fn exported_declarations_one_per_line_are_never_too_deep() {
    for line in
        ["export function f#() { return 1; }\n", "export class C# {}\n", "export async function f#() {}\n"]
    {
        let lines = (0..2_000).map(|i| line.replace('#', &i.to_string())).collect::<String>();
        let report = build_in_time(line, SCRIPT, &format!("{lines}export async function main() {{}}\n"));
        assert!(
            report.diagnostics.iter().all(|d| d.rule != "nesting"),
            "{line}{:?}",
            report.diagnostics.first()
        );
    }
}

#[test]
fn ordinary_code_is_never_too_deep() {
    let lines =
        |line: &str, count: usize| (0..count).map(|i| line.replace('#', &i.to_string())).collect::<String>();
    for body in [
        lines("foo(bar, baz[#].qux).then(x => x + 1)\n", 4000),
        lines("const m# = new Map<string, Array<Set<number>>>()\n", 4000),
        lines("if (a < b && c > d) { e() } else { f() }\n", 4000),
        lines("switch (a) { case #: b(); break\n default: c() }\n", 4000),
        lines("type T# = Record<string, Array<{ a: number, b?: (c: string) => void }>>\n", 3000),
        format!("const table = {{\n{}}}\n", lines("  key#: { id: '#', tags: ['a', -#] },\n", 4000)),
        format!("const list = [\n{}]\n", lines("  ['#', x => -x, `${a} ${b}`],\n", 4000)),
        format!("const text = `{}`\n", lines("<b>${a.b(#)}</b>\n", 4000)),
        format!("const text = ''{}\n", lines("\n  + 'line #'", 300)),
        format!("query{}\n", lines("\n  .where('a', #)", 100)),
        format!("if (a) b()\n{}", lines("else if (a === #) { b(#) }\n", 100)),
    ] {
        let code = format!("async function main() {{\n{body}}}\n");
        let report = build(SCRIPT, &code);
        assert!(report.build.is_some(), "{:?}\n{}", report.diagnostics, &code[..200]);
    }
}
