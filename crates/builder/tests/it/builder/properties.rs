//! Properties that hold for every text, tested on randomly composed texts.

use super::{MAIN, RAW};
use builder::{Severity, SourceMap, Unit, build};
use proptest::prelude::*;

/// Pieces of scripts, valid and invalid, that are combined in any order.
const PIECES: &[&str] = &[
    "Functions.a();",
    "const { b } = Functions;",
    "env.Functions.c({ x: 1 })",
    "let x = 1;",
    "let y: number = 2;",
    "async function f(a: string, { Functions }: any) { return Functions.d(a); }",
    "if (x) {",
    "}",
    "else",
    "(",
    ")",
    "[",
    "]",
    "`a${",
    "`",
    "'",
    "\"",
    "/",
    "/re/g",
    "//",
    "/*",
    "*/",
    "\n",
    "\r\n",
    "\u{2028}",
    "😀",
    "é",
    "<T>",
    "=>",
    "enum E { A = 1 }",
    "namespace N { export const x = 1 }",
    "class C<T> { #p = 1; static { } @d m() {} }",
    "export default",
    "export",
    "import x from 'y';",
    "function main() {}",
    "return",
    "await",
    "async",
    "yield",
    "while (true) {}",
    "eval('1')",
    "x?.y ?? z",
    "a as any",
    "satisfies T",
    "x!",
    "type T = { a: string };",
    "...",
    ",",
    ";",
    ":",
    "?",
    "=",
    "+",
    "-",
    "!",
    "++",
    "<",
    ">",
    "\\u0061",
    "#!",
    "\u{feff}",
    "0x1n",
    "1e3",
    "<b>hi</b>",
    "using r = q;",
];

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => prop::collection::vec(prop::sample::select(PIECES), 0..30).prop_map(|pieces| pieces.join(" ")),
        1 => "\\PC{0,200}",
    ]
}

fn units() -> [Unit<'static>; 3] {
    [MAIN, RAW, Unit::Function { name: "f", parameters: &[] }]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    /// Never panics, has a build exactly if no diagnostic is an error, and reports positions inside the text.
    #[test]
    fn any_text_builds_exactly_if_it_has_no_error(text in text()) {
        let lines = u32::try_from(text.split(['\n', '\r', '\u{2028}', '\u{2029}']).count()).unwrap();
        for unit in units() {
            let report = build(unit, &text);
            let refused = report.diagnostics.iter().any(|found| found.severity == Severity::Error);
            prop_assert_eq!(report.build.is_none(), refused);
            for found in &report.diagnostics {
                prop_assert!(found.line >= 1 && found.column >= 1 && found.end_line <= lines, "{:?}", found);
                prop_assert!((found.line, found.column) <= (found.end_line, found.end_column), "{:?}", found);
            }
        }
    }

    /// Builds its own output again: the output parses and has no errors.
    #[test]
    fn a_build_parses_and_is_deterministic(text in text()) {
        for unit in units() {
            if let Some(first) = build(unit, &text).build {
                prop_assert!(SourceMap::of_build(&first.code).is_some());
                let expression = first.code.trim_end();
                let again = build(RAW, expression);
                prop_assert!(again.build.is_some(), "{}\n{:?}", first.code, again.diagnostics);
                prop_assert_eq!(build(unit, &text).build, Some(first));
            }
        }
    }
}
