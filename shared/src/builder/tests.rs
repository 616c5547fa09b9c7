use super::*;

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
fn there_is_exactly_one_main() {
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
fn no_text_closes_the_wrapper() {
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
fn jsx_is_named_as_such() {
    assert_eq!(findings(MAIN, "function main() {\n  return <b>hi</b>;\n}"), ["jsx@2:10"]);
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
