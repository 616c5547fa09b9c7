#![no_main]

//! Fuzz target of the builder. The first byte selects the unit as which the rest is built. The build must not panic or
//! overflow the stack, exists exactly if no diagnostic is an error, has positions inside the text, and its output
//! builds again with the same result.

use libfuzzer_sys::fuzz_target;
use builder::{Severity, SourceMap, Unit, build};
use shared::execution::CodeType;
use std::sync::{Mutex, PoisonError};

/// Message of the last panic. The builder catches panics of the parser, at which libfuzzer's own hook would abort.
static PANIC: Mutex<String> = Mutex::new(String::new());

fn keep_panic() {
    std::panic::set_hook(Box::new(|panic| {
        *PANIC.lock().unwrap_or_else(PoisonError::into_inner) = panic.to_string();
    }));
}

fuzz_target!(init: keep_panic(), |data: &[u8]| {
    if std::panic::catch_unwind(|| check(data)).is_err() {
        eprintln!("{}", PANIC.lock().unwrap_or_else(PoisonError::into_inner));
        std::process::abort();
    }
});

fn check(data: &[u8]) {
    let Some((&unit, text)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let parameters = ["input".to_owned(), "a".to_owned()];
    let unit = match unit % 3 {
        0 => Unit::Script(CodeType::MainFn),
        1 => Unit::Script(CodeType::Raw),
        _ => Unit::Function { name: "f", parameters: &parameters },
    };
    let report = build(unit, text);
    let refused = report.diagnostics.iter().any(|found| found.severity == Severity::Error);
    assert_eq!(report.build.is_none(), refused, "{:?}", report.diagnostics);
    let lines = text.split(['\n', '\r', '\u{2028}', '\u{2029}']).count();
    for found in &report.diagnostics {
        assert!(found.line >= 1 && found.column >= 1 && found.end_line as usize <= lines, "{found:?}");
        assert!((found.line, found.column) <= (found.end_line, found.end_column), "{found:?}");
    }
    if let Some(first) = &report.build {
        assert!(SourceMap::of_build(&first.code).is_some());
        assert!(first.function_names.is_sorted());
        let code = &first.code[..first.code.rfind("//# sourceMappingURL").expect("every build has a map")];
        // The build is larger than its text; over the limit it is refused for its size alone.
        let again = build(Unit::Script(CodeType::Raw), code.trim_end());
        assert!(again.build.is_some() || code.len() > 200_000, "{code}\n{:?}", again.diagnostics);
        assert_eq!(build(unit, text).build.as_ref(), Some(first));
    }
}
