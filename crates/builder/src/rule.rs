//! Stable names of the builder's own rules. Each lint rule defines its name in its own file.

/// The text is neither valid JavaScript nor valid TypeScript.
pub(super) const SYNTAX: &str = "syntax";
/// The text contains JSX.
pub(super) const JSX: &str = "jsx";
/// The text is larger than [`shared::limits::CODE_BYTES`].
pub(super) const CODE_SIZE: &str = "code-size";
/// Brackets, operators or blocks are nested too deeply.
pub(super) const NESTING: &str = "nesting";
/// `main`, or the function of a `ScriptFunction`, is missing, declared twice or not a function.
pub(super) const ENTRY_POINT: &str = "entry-point";
/// `await` is used outside of a function.
pub(super) const TOP_LEVEL_AWAIT: &str = "top-level-await";
/// A declared parameter is not a valid variable name.
pub(super) const PARAMETER_NAME: &str = "parameter-name";
/// The text has more findings than are reported.
pub(super) const MORE_FINDINGS: &str = "more-findings";
