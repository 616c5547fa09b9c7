use crate::*;

const MAIN: Unit<'static> = Unit::Script(CodeType::MainFn);
const RAW: Unit<'static> = Unit::Script(CodeType::Raw);

fn built(unit: Unit<'_>, code: &str) -> Build {
    let report = build(unit, code);
    report.build.unwrap_or_else(|| panic!("refused: {:?}\n{code}", report.diagnostics))
}

fn body(build: &Build) -> &str {
    &build.code[..build.code.rfind("//# sourceMappingURL").expect("every build has a map")]
}

/// `rule@line:column` of every diagnostic.
fn findings(unit: Unit<'_>, code: &str) -> Vec<String> {
    let report = build(unit, code);
    report.diagnostics.iter().map(|d| format!("{}@{}:{}", d.rule, d.line, d.column)).collect()
}

#[test]
fn a_script_becomes_an_expression_that_yields_main() {
    let build = built(MAIN, "async function main(input: Input, env) { return 1 as number; }");
    assert_eq!(
        body(&build),
        "(() => {\nasync function main(input, env) {\n    return 1;\n}\nreturn main;\n})();\n"
    );
}

#[test]
fn a_module_is_strict_and_a_script_is_not() {
    assert!(built(MAIN, "export function main() {}").code.starts_with("(function () { \"use strict\";\n"));
    assert!(built(MAIN, "function main() {}").code.starts_with("(() => {\n"));
}

#[test]
fn every_form_of_main_is_found() {
    for code in [
        "function main() {}",
        "async function main() {}",
        "export async function main() {}",
        "export default async function main() {}",
        "export default async function () {}",
        "export default async (input, env) => {};",
        "async function main() {}\nexport default main;",
        "async function run() {}\nexport { run as main };",
        "async function run() {}\nexport { run as default };",
        "export const main = async () => {};",
        "const main = async () => {};",
        "const main: Main = (async () => {}) satisfies Main;",
        "function main(a: string): void;\nfunction main(a: number): void;\nfunction main(a: unknown) {}",
        "const { main } = { main() {} };",
    ] {
        built(MAIN, code);
    }
}

#[test]
fn a_missing_or_second_main_is_refused() {
    assert_eq!(findings(MAIN, "const x = 1;"), ["entry-point@1:1"]);
    assert_eq!(findings(MAIN, ""), ["entry-point@1:1"]);
    assert_eq!(findings(MAIN, "const main = 3;"), ["entry-point@1:7"]);
    assert_eq!(findings(MAIN, "function main() {}\nfunction main() {}"), ["entry-point@2:10"]);
    assert_eq!(findings(MAIN, "function main() {}\nexport default () => {};"), ["entry-point@2:1"]);
    assert_eq!(findings(MAIN, "{ function main() {} }"), ["entry-point@1:1"]);
}

#[test]
fn a_raw_body_may_return_await_and_redeclare() {
    let build = built(RAW, "const event = await fetch('x');\nreturn event as any;");
    assert_eq!(
        body(&build),
        "(input, env, event = input?.event, context = input?.context) => (async function () {\n\
         const event = await fetch('x');\nreturn event;\n})();\n"
    );
}

#[test]
fn raw_code_cannot_close_its_wrapper() {
    for code in ["}); evil(", "} evil(); {", "} async function body() {", "/*", "return 1; //", "`"] {
        let report = build(RAW, code);
        if code == "return 1; //" {
            assert!(report.build.is_some());
        } else {
            assert!(report.build.is_none(), "{code}");
            assert_eq!(report.diagnostics[0].rule, "syntax", "{code}");
        }
    }
    assert_eq!(findings(RAW, "foo();\n} evil(); {"), ["syntax@2:1"]);
}

#[test]
fn an_error_after_possible_type_arguments_is_reported() {
    assert_eq!(findings(RAW, "a <T>\n  '"), ["syntax@2:3"]);
    assert!(build(RAW, "a <T>\n'x'").build.is_some());
}

#[test]
fn await_at_the_top_level_of_a_script_is_explained() {
    let report = build(MAIN, "const x = await 1;\nexport async function main() { await x; }");
    assert_eq!(report.diagnostics[0].rule, "top-level-await");
    assert_eq!((report.diagnostics[0].line, report.diagnostics[0].column), (1, 11));
}

#[test]
fn a_function_may_have_any_of_its_forms() {
    let parameters = ["url".to_owned(), "method".to_owned()];
    let unit = Unit::Function { name: "httpRequest", parameters: &parameters };
    for code in [
        "async function httpRequest({ url }) { return fetch(url); }",
        "function retry() {}\nasync function httpRequest({ url }) { return retry(url); }",
        "async function anything({ url }) { return fetch(url); }",
        "export default async function ({ url }: { url: string }) { return fetch(url); }",
        "export default async ({ url }) => fetch(url);",
        "async function ({ url }) { return fetch(url); }",
        "async ({ url }) => fetch(url);",
        "(async ({ url }) => fetch(url))",
    ] {
        assert!(body(&built(unit, code)).contains("return "), "{code}");
    }
    assert!(
        body(&built(unit, "return await fetch(url, { method });"))
            .starts_with("({ url, method } = {}) => (async function () {\n")
    );
    assert!(body(&built(unit, "await fetch(url)")).starts_with("({ url, method }"));
}

#[test]
fn a_parameter_of_a_bare_body_must_be_a_name() {
    let parameters = ["channel-id".to_owned()];
    let unit = Unit::Function { name: "send", parameters: &parameters };
    assert_eq!(findings(unit, "return 1;"), ["parameter-name@1:1"]);
    assert!(build(unit, "async ({ 'channel-id': channel }) => channel").build.is_some());
}

#[test]
fn an_escaped_non_identifier_character_is_a_syntax_error() {
    assert_eq!(findings(MAIN, "function main() { return a / \\u0039s; }"), ["syntax@1:30"]);
    assert!(findings(MAIN, "function main(\\u{61}b) { return a\\u0062.\\u0063; }").is_empty());
}

#[test]
fn jsx_is_reported_as_jsx() {
    assert_eq!(findings(MAIN, "function main() {\n  return <b>hi</b>;\n}"), ["jsx@2:10"]);
    let tags = format!("function main() {{ return {}hi{}; }}", "<b>".repeat(20), "</b>".repeat(20));
    assert_eq!(findings(MAIN, &tags), ["jsx@1:26"]);
}

#[test]
fn typescript_is_lowered() {
    let build = built(
        MAIN,
        "enum Color { Red, Green = 'g' }\nconst enum Flag { On = 1 }\nnamespace N { export const x = 1; }\n\
         class P { constructor(private readonly a: number) {} }\n\
         function log(value: unknown, context: ClassMethodDecoratorContext) {}\n\
         class D { @log method() {} }\n\
         function main() { return [Color.Red, Flag.On, N.x, new P(1), new D()]; }",
    );
    for typescript in ["enum ", "namespace", "readonly", "@log", ": number"] {
        assert!(!body(&build).contains(typescript), "{typescript} is left in\n{}", build.code);
    }
}

#[test]
fn lowering_renames_local_names_that_would_be_shadowed() {
    let lowered = |code: &str| body(&built(MAIN, &format!("{code}\nfunction main() {{}}"))).to_owned();
    let namespace = "namespace N { export const x = 1; export function f(N: number) { return x + N; } }";
    assert!(lowered(namespace).contains("return N.x + N1"), "{}", lowered(namespace));
    let enumeration = "enum E { A = now(), B = (() => { const E = A; return E; })() }";
    assert!(lowered(enumeration).contains("const E1 = E.A"), "{}", lowered(enumeration));
    let field = "class K extends L { constructor(private x: number) { ((x: number) => super(x))(2); } }";
    assert!(lowered(field).contains("(x1)=>"), "{}", lowered(field));
    let apart = "enum E { A } class K { constructor(private x: number) {} }\n\
                 const f = (x: number) => { { let x = E.A; f(x); } return x; };";
    assert!(lowered(apart).contains("let x = "), "nothing is renamed without need: {}", lowered(apart));
}

#[test]
fn the_hash_names_the_unit_and_the_text() {
    let hash = |unit, code| built(unit, code).hash;
    assert_eq!(hash(RAW, "return 1;"), hash(RAW, "return 1;"));
    assert_eq!(hash(RAW, "return 1;").len(), 64);
    assert_ne!(hash(RAW, "return 1;"), hash(RAW, "return 1; "));
    assert_ne!(hash(RAW, "function main() {}"), hash(MAIN, "function main() {}"));
}

#[test]
fn code_over_the_limit_is_refused() {
    let code = format!("function main() {{}} //{}", "x".repeat(CODE_BYTES));
    assert_eq!(findings(MAIN, &code), ["code-size@1:1"]);
}

#[test]
fn a_function_is_found_where_it_is_used_first() {
    let build = built(
        RAW,
        "  await Functions.sendEmail({});\n  const { log: l } = Functions; Functions.sendEmail();",
    );
    let places: Vec<_> = build
        .function_uses
        .iter()
        .map(|found| {
            (found.name.as_str(), found.start.line + 1, found.start.column + 1, found.end.column + 1)
        })
        .collect();
    assert_eq!(places, [("log", 2, 11, 14), ("sendEmail", 1, 19, 28)]);
}

/// Position in the author's text of `needle` in the build, as 1-based line and column.
fn origin(build: &Build, needle: &str) -> Option<(u32, u32)> {
    let at = build.code.find(needle).expect("the needle is in the build");
    let before = &build.code[..at];
    let line = before.matches('\n').count();
    let column = before[before.rfind('\n').map_or(0, |end| end + 1)..].encode_utf16().count();
    let generated = Position { line: u32::try_from(line).unwrap(), column: u32::try_from(column).unwrap() };
    let map = SourceMap::of_build(&build.code).expect("every build has a map");
    map.original(generated).map(|original| (original.line + 1, original.column + 1))
}

#[test]
fn every_position_maps_back_to_the_original_text() {
    let code = "type A = { a: string };\r\n\r\nfunction main(input: A,\r\n    env: any) {\r\n  \
                const smile = '😀漢'; const x: any = null as any; return  x.field   (1) + 2 instanceof   Object;\r\n}";
    let build = built(MAIN, code);
    for (needle, expected) in [
        ("main(", (3, 10)),
        ("env)", (4, 5)),
        ("smile", (5, 9)),
        ("x = null", (5, 30)),
        ("return x", (5, 52)),
        ("field", (5, 62)),
        ("(1)", (5, 70)),
        ("+ 2", (5, 74)),
        ("instanceof", (5, 78)),
        ("Object", (5, 91)),
    ] {
        assert_eq!(origin(&build, needle), Some(expected), "{needle}\n{}", build.code);
    }
    assert_eq!(origin(&build, "(() =>"), None);
}

#[test]
fn positions_are_right_in_raw_bodies_and_functions() {
    assert_eq!(origin(&built(RAW, "  fail();"), "fail"), Some((1, 3)));
    let unit = Unit::Function { name: "f", parameters: &["a".to_owned()] };
    assert_eq!(origin(&built(unit, "\n  return fail(a);"), "fail"), Some((2, 10)));
    assert_eq!(origin(&built(unit, "async function (x) { fail(); }"), "fail"), Some((1, 22)));
}

#[test]
fn a_global_in_parentheses_or_a_cast_is_reported_once() {
    assert_eq!(findings(RAW, "return (process as any).env;"), ["process-access@1:9"]);
    assert_eq!(
        findings(RAW, "return (<any>window).x || (Buffer);"),
        ["missing-global@1:14", "missing-global@1:28"]
    );
}

#[test]
fn a_text_with_many_errors_reports_a_hundred() {
    let code = format!("export const main = () => 1;\n{}", "require('fs');\n".repeat(150));
    let report = build(MAIN, &code);
    assert_eq!((report.build, report.diagnostics.len()), (None, MAX_DIAGNOSTICS));
    assert_eq!(report.diagnostics[99].rule, "more-findings");
}
