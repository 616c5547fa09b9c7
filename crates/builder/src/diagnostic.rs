//! What the builder has to say about an author's text, in the author's own coordinates.

use serde::{Deserialize, Serialize};

/// Whether a finding refuses the save.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Can never work, or is forbidden: there is no build.
    Error,
    /// Worth the author's attention; the build stands.
    Warning,
}

/// One finding. Lines and columns start at 1; columns count UTF-16 units, as editors and V8 do.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Diagnostic {
    /// Stable name of the rule, for instance `endless-loop`.
    pub rule: String,
    pub severity: Severity,
    /// One readable sentence.
    pub message: String,
    pub line: u32,
    pub column: u32,
    pub end_line: u32,
    /// Column just after the last character.
    pub end_column: u32,
}

/// A finding that still speaks of positions in the parsed text.
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
