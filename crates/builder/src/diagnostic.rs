//! Diagnostics of the builder, with positions in the author's text.

use crate::rule;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;

/// Maximum number of diagnostics in a report and in a response. Those left out are reported by the next build, once the
/// first are fixed.
pub const MAX_DIAGNOSTICS: usize = 100;

/// Severity of a finding. An error prevents saving.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The code can never work or is forbidden. There is no build.
    Error,
    /// The code deserves the author's attention. The build is kept.
    Warning,
}

/// Finding in the author's text. Lines and columns start at 1. Columns count UTF-16 units, as editors and V8 do.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Diagnostic {
    /// Stable name of the rule, for instance `endless-loop`.
    pub rule: String,
    pub severity: Severity,
    /// Message for the author, one sentence.
    pub message: String,
    pub line: u32,
    pub column: u32,
    pub end_line: u32,
    /// Column just after the last character.
    pub end_column: u32,
}

/// Sorts diagnostics by position, and limits their number to [`MAX_DIAGNOSTICS`]. Errors are kept before warnings. The
/// last one states how many are left out, and is an error if one of them is.
pub fn listed(mut diagnostics: Vec<Diagnostic>) -> Vec<Diagnostic> {
    diagnostics.sort_by(in_order);
    diagnostics.dedup();
    if diagnostics.len() > MAX_DIAGNOSTICS {
        // The sort is stable, so the first of each severity are kept. An earlier count of diagnostics left out is kept too.
        diagnostics.sort_by_key(|diagnostic| (!is_count(diagnostic), diagnostic.severity));
        let left_out = diagnostics.split_off(MAX_DIAGNOSTICS - 1);
        let count = left_out.len();
        diagnostics.extend(left_out.into_iter().next().map(|first| Diagnostic {
            rule: rule::MORE_FINDINGS.to_owned(),
            message: format!("There are {count} more findings, which are reported once these are fixed."),
            ..first
        }));
        diagnostics.sort_by(in_order);
    }
    diagnostics
}

/// Returns whether a diagnostic states how many are left out.
fn is_count(diagnostic: &Diagnostic) -> bool {
    diagnostic.rule == rule::MORE_FINDINGS
}

/// Compares diagnostics by position. A count of those left out comes last.
fn in_order(a: &Diagnostic, b: &Diagnostic) -> Ordering {
    let position = |of: &Diagnostic| (is_count(of), of.line, of.column, of.end_line, of.end_column);
    position(a).cmp(&position(b)).then_with(|| a.rule.cmp(&b.rule))
}

/// Finding with positions in the parsed text instead of the author's text.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    pub(super) rule: &'static str,
    pub(super) severity: Severity,
    pub(super) message: String,
    pub(super) span: swc_common::Span,
}

impl Finding {
    pub(super) fn error(rule: &'static str, span: swc_common::Span, message: impl Into<String>) -> Self {
        Self { rule, severity: Severity::Error, message: message.into(), span }
    }

    pub(super) fn warning(rule: &'static str, span: swc_common::Span, message: impl Into<String>) -> Self {
        Self { rule, severity: Severity::Warning, message: message.into(), span }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diagnostic(severity: Severity, line: u32) -> Diagnostic {
        let (rule, message) = ("rule".to_owned(), String::new());
        Diagnostic { rule, severity, message, line, column: 1, end_line: line, end_column: 2 }
    }

    fn many(severity: Severity, lines: std::ops::Range<u32>) -> Vec<Diagnostic> {
        lines.map(|line| diagnostic(severity, line)).collect()
    }

    #[test]
    fn a_hundred_diagnostics_are_all_listed_by_position() {
        let all = many(Severity::Warning, 1..101);
        assert_eq!(listed(all.iter().rev().cloned().collect()), all);
    }

    #[test]
    fn the_last_diagnostic_counts_those_left_out() {
        let shown = listed(many(Severity::Error, 1..3_401));
        assert_eq!(shown.len(), MAX_DIAGNOSTICS);
        assert_eq!(shown[98].line, 99);
        let last = &shown[99];
        assert_eq!((last.rule.as_str(), last.severity, last.line), ("more-findings", Severity::Error, 100));
        assert_eq!(last.message, "There are 3301 more findings, which are reported once these are fixed.");
    }

    #[test]
    fn errors_are_listed_before_warnings_are() {
        let warnings = listed(many(Severity::Warning, 1..151));
        let shown = listed([warnings, many(Severity::Error, 200..203)].concat());
        assert_eq!(shown.len(), MAX_DIAGNOSTICS);
        let errors = shown.iter().filter(|diagnostic| diagnostic.severity == Severity::Error);
        assert_eq!(errors.count(), 3);
        assert_eq!(shown.iter().filter(|diagnostic| is_count(diagnostic)).count(), 2);
        assert_eq!(shown[99].severity, Severity::Warning);
    }
}
