//! Corpus of texts with the expected diagnostics. A case marks spans with `‹` and `›`: each diagnostic must cover
//! exactly one marked span, in order.

use builder::{Report, Severity, Unit, build};
use shared::execution::CodeType;

mod detection;
mod lint;
mod properties;
mod published;

/// `(line, column, end line, end column)`.
type Place = (u32, u32, u32, u32);

/// Text without its marks, and the marked spans in the order of the text.
struct Unmarked {
    code: String,
    /// Spans between `‹` and `›`.
    findings: Vec<Place>,
    /// Spans between `«` and `»`.
    uses: Vec<Place>,
}

fn unmark(marked: &str) -> Unmarked {
    let mut unmarked = Unmarked { code: String::new(), findings: Vec::new(), uses: Vec::new() };
    let (mut line, mut column) = (1, 1);
    let mut starts = Vec::new();
    for character in marked.chars() {
        let places =
            if matches!(character, '‹' | '›') { &mut unmarked.findings } else { &mut unmarked.uses };
        match character {
            '‹' | '«' => {
                starts.push(places.len());
                places.push((line, column, 0, 0));
                continue;
            }
            '›' | '»' => {
                let start = starts.pop().expect("every mark is closed");
                places[start].2 = line;
                places[start].3 = column;
                continue;
            }
            '\r' => {}
            '\n' => {
                line += 1;
                column = 1;
            }
            _ => column += u32::try_from(character.len_utf16()).unwrap(),
        }
        unmarked.code.push(character);
    }
    unmarked
}

/// Builds a marked text and compares the diagnostics with the marks: `rules` are `rule`, or `rule!` for errors.
fn check(unit: Unit<'_>, marked: &str, rules: &[&str]) -> Result<Report, String> {
    let Unmarked { code, findings: places, .. } = unmark(marked);
    let report = build(unit, &code);
    let found: Vec<String> = report
        .diagnostics
        .iter()
        .map(|d| format!("{}{}", d.rule, if d.severity == Severity::Error { "!" } else { "" }))
        .collect();
    let covered: Vec<_> =
        report.diagnostics.iter().map(|d| (d.line, d.column, d.end_line, d.end_column)).collect();
    if found != rules || covered != places {
        return Err(format!(
            "{marked}\n  expected {rules:?} at {places:?}\n  found {found:?} at {covered:?}"
        ));
    }
    if report.build.is_none() != rules.iter().any(|rule| rule.ends_with('!')) {
        return Err(format!("{marked}\n  there must be a build exactly if no diagnostic is an error"));
    }
    Ok(report)
}

/// Reports all failed cases together.
fn assert_all(results: impl Iterator<Item = Result<(), String>>) {
    let failures: Vec<String> = results.filter_map(Result::err).collect();
    assert!(failures.is_empty(), "{} cases:\n{}", failures.len(), failures.join("\n"));
}

const RAW: Unit<'static> = Unit::Script(CodeType::Raw);
const MAIN: Unit<'static> = Unit::Script(CodeType::MainFn);

/// Holds the size of the corpus that authors were promised.
#[test]
fn the_corpus_has_at_least_120_cases_of_detection_and_lint() {
    let (detection, lint) = (detection::cases(), lint::cases());
    assert!(detection >= 60 && detection + lint >= 120, "{detection} of detection, {lint} of lint");
    println!("{detection} cases of detection, {lint} of lint");
}
