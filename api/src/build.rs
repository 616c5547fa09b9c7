//! Builds what a request brings, against the functions its workspace has.

use crate::{
    error::ApiError,
    resolve::{KnownFunction, UnknownFunction, resolve},
    resources::script::FunctionPin,
};
use shared::{
    builder::{self, Build, Diagnostic, Report, Severity, Unit},
    execution::CodeType,
    telemetry::metrics::BUILD_DURATION,
};
use std::time::Instant;

/// Rule of the diagnostic about a call of a function that does not exist.
const UNKNOWN_FUNCTION: &str = "unknown-function";

/// Code that builds and whose functions exist.
#[derive(Debug)]
pub struct Built {
    pub build: Build,
    /// Everything it needs, through other functions too.
    pub functions: Vec<FunctionPin>,
    pub warnings: Vec<Diagnostic>,
}

/// What is built.
#[derive(Clone, Debug)]
pub enum Kind {
    Script(CodeType),
    Function { name: String, parameters: Vec<String> },
}

/// Builds code and resolves the functions it calls.
pub async fn build(kind: Kind, code: String, known: &[KnownFunction]) -> Result<Built, ApiError> {
    // A function may call itself before it exists; its own pin is that of the build it becomes.
    let own_name = match &kind {
        Kind::Function { name, .. } => Some(name.clone()),
        Kind::Script(_) => None,
    };
    let compiled = compile(kind, code.clone()).await?;
    let is_other = |name: &&String| own_name.as_ref() != Some(*name);
    let called: Vec<String> = compiled.build.function_names.iter().filter(is_other).cloned().collect();
    link(compiled, &code, &called, known)
}

/// Code that builds, and calls functions of which nothing is known yet.
#[derive(Debug)]
pub struct Compiled {
    pub build: Build,
    pub warnings: Vec<Diagnostic>,
}

/// Builds code on a thread where it holds nobody up.
pub async fn compile(kind: Kind, code: String) -> Result<Compiled, ApiError> {
    let began = Instant::now();
    let label = if matches!(kind, Kind::Script(_)) { "script" } else { "function" };
    let report = tokio::task::spawn_blocking(move || match &kind {
        Kind::Script(code_type) => builder::build(Unit::Script(*code_type), &code),
        Kind::Function { name, parameters } => builder::build(Unit::Function { name, parameters }, &code),
    });
    let Report { build, diagnostics } =
        report.await.map_err(|error| ApiError::Internal(format!("the builder failed: {error}").into()))?;
    let outcome = if build.is_some() { "built" } else { "refused" };
    BUILD_DURATION.with([label, outcome]).record(began.elapsed());
    match build {
        Some(build) => Ok(Compiled { build, warnings: diagnostics }),
        None => Err(ApiError::Code(diagnostics)),
    }
}

/// Finds what `called` needs; unknown functions are diagnostics where `source` names them.
pub fn link(
    compiled: Compiled,
    source: &str,
    called: &[String],
    known: &[KnownFunction],
) -> Result<Built, ApiError> {
    let Compiled { build, mut warnings } = compiled;
    match resolve(called, known) {
        Ok(functions) => Ok(Built { build, functions, warnings }),
        Err(unknown) => {
            warnings.extend(unknown.iter().map(|function| unknown_function(function, source)));
            Err(ApiError::Code(warnings))
        }
    }
}

fn unknown_function(unknown: &UnknownFunction, source: &str) -> Diagnostic {
    let (line, column) = position_of_use(source, &unknown.name).unwrap_or((1, 1));
    let length = u32::try_from(unknown.name.encode_utf16().count()).unwrap_or(u32::MAX);
    Diagnostic {
        rule: UNKNOWN_FUNCTION.to_owned(),
        severity: Severity::Error,
        message: unknown.message(),
        line,
        column,
        end_line: line,
        end_column: column.saturating_add(length),
    }
}

/// Line and column (1-based, UTF-16) where a function is first named after `Functions`, or first named at all.
fn position_of_use(source: &str, name: &str) -> Option<(u32, u32)> {
    let is_part = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == '$';
    let whole = |offset: &usize| {
        let (before, rest) = source.split_at(*offset);
        !before.ends_with(is_part) && !rest[name.len()..].starts_with(is_part)
    };
    let uses: Vec<usize> = source.match_indices(name).map(|(offset, _)| offset).filter(whole).collect();
    let reached = |offset: &&usize| {
        let before = source[..**offset].trim_end_matches(|letter: char| !is_part(letter));
        before.ends_with("Functions")
    };
    let offset = *uses.iter().find(reached).or_else(|| uses.first())?;
    let before = &source[..offset];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = before.matches('\n').count() + 1;
    let column = before[line_start..].encode_utf16().count() + 1;
    Some((u32::try_from(line).ok()?, u32::try_from(column).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_position_is_where_the_function_is_reached() {
        let source = "// greet\nexport default async (i, { Functions }) => {\n  '😀'; await Functions\n    .greet({});\n}";
        assert_eq!(position_of_use(source, "greet"), Some((4, 6)));
        assert_eq!(position_of_use("const { greet } = Functions", "greet"), Some((1, 9)));
        assert_eq!(position_of_use("greets", "greet"), None);
    }
}
