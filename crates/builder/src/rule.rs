//! The stable names of the builder's own rules. Lint rules name themselves, each in its file.

/// The text is no JavaScript or TypeScript.
pub(super) const SYNTAX: &str = "syntax";
/// The text holds JSX.
pub(super) const JSX: &str = "jsx";
/// The text is larger than [`shared::limits::CODE_BYTES`].
pub(super) const CODE_SIZE: &str = "code-size";
/// Brackets, operators or blocks are nested too deeply.
pub(super) const NESTING: &str = "nesting";
/// `main`, or the function of a `ScriptFunction`, is missing, declared twice or no function.
pub(super) const ENTRY_POINT: &str = "entry-point";
/// `await` outside of a function.
pub(super) const TOP_LEVEL_AWAIT: &str = "top-level-await";
/// A declared parameter can't be a variable.
pub(super) const PARAMETER_NAME: &str = "parameter-name";
