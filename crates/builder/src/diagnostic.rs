//! Diagnostics of the builder, with positions in the author's text.

use serde::{Deserialize, Serialize};

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
