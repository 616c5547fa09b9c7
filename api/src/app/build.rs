//! Builds the code of a request against the functions of its workspace.

use super::function_resolution::{UnknownFunction, resolve};
use crate::model::{error::ApiError, function::KnownFunction, script::FunctionPin};
use builder::{Build, Diagnostic, Report, Severity, Unit};
use packages::ResolvedPackages;
use shared::{execution::CodeType, telemetry::metrics::BUILD_DURATION};
use std::time::Instant;

/// Rule of the diagnostic about a call of a function that does not exist.
const UNKNOWN_FUNCTION: &str = "unknown-function";

/// Code that builds and whose functions exist.
#[derive(Debug)]
pub(crate) struct Built {
    pub build: Build,
    /// All functions that it needs, directly or through other functions.
    pub functions: Vec<FunctionPin>,
    pub warnings: Vec<Diagnostic>,
}

/// The kind of code that is built.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Script(CodeType),
    Function { name: String, parameters: Vec<String> },
}

/// Builds code with its resolved packages, and resolves the functions that it calls.
pub(crate) async fn build(
    kind: Kind,
    code: String,
    packages: ResolvedPackages,
    known: &[KnownFunction],
) -> Result<Built, ApiError> {
    // A function may call itself before it exists; its own pin is that of the build that it becomes.
    let own_name = match &kind {
        Kind::Function { name, .. } => Some(name.clone()),
        Kind::Script(_) => None,
    };
    let compiled = compile(kind, code, packages).await?;
    let is_other = |name: &&String| own_name.as_ref() != Some(*name);
    let called: Vec<String> = compiled.build.function_names.iter().filter(is_other).cloned().collect();
    link(compiled, &called, known)
}

/// Code that builds, and whose functions are not resolved yet.
#[derive(Debug)]
pub(crate) struct Compiled {
    pub build: Build,
    pub warnings: Vec<Diagnostic>,
}

/// Builds code on a thread for blocking work.
pub(crate) async fn compile(
    kind: Kind,
    code: String,
    packages: ResolvedPackages,
) -> Result<Compiled, ApiError> {
    let began = Instant::now();
    let label = if matches!(kind, Kind::Script(_)) { "script" } else { "function" };
    let report = tokio::task::spawn_blocking(move || match &kind {
        Kind::Script(code_type) => packages.build(Unit::Script(*code_type), &code),
        Kind::Function { name, parameters } => packages.build(Unit::Function { name, parameters }, &code),
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

/// Resolves the functions that `called` needs. An unknown function is a diagnostic where the code first uses it.
pub(crate) fn link(
    compiled: Compiled,
    called: &[String],
    known: &[KnownFunction],
) -> Result<Built, ApiError> {
    let Compiled { build, mut warnings } = compiled;
    match resolve(called, known) {
        Ok(functions) => Ok(Built { build, functions, warnings }),
        Err(unknown) => {
            warnings.extend(unknown.iter().map(|function| unknown_function(function, &build)));
            Err(ApiError::Code(warnings))
        }
    }
}

/// Returns the diagnostic of an unknown function. If only other functions need it, the diagnostic is at the start of
/// the code.
fn unknown_function(unknown: &UnknownFunction, build: &Build) -> Diagnostic {
    let found = build.function_uses.iter().find(|found| found.name == unknown.name);
    let (start, end) = found.map_or_else(Default::default, |found| (found.start, found.end));
    Diagnostic {
        rule: UNKNOWN_FUNCTION.to_owned(),
        severity: Severity::Error,
        message: unknown.message(),
        line: start.line + 1,
        column: start.column + 1,
        end_line: end.line + 1,
        end_column: end.column + 1,
    }
}
