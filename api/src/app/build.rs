//! Builds the code of a request against the functions of its workspace.

use super::function_resolution::{resolve, suggestions, unknown_message};
use crate::model::{error::ApiError, function::KnownFunction, script::FunctionPin};
use builder::{Build, Diagnostic, FunctionUse, Position, Report, Severity, Unit, listed};
use packages::ResolvedPackages;
use shared::{execution::CodeType, telemetry::metrics::BUILD_DURATION};
use std::{collections::HashMap, time::Instant};

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

/// Builds code with its resolved packages, and resolves the functions that it calls, on a thread for blocking work.
pub(crate) async fn build(
    kind: Kind,
    code: String,
    packages: ResolvedPackages,
    known: Vec<KnownFunction>,
) -> Result<Built, ApiError> {
    on_blocking_thread(move || {
        let compiled = compile_here(&kind, &code, &packages)?;
        // A function may call itself before it exists; its own pin is that of the build that it becomes.
        let is_other = |name: &&String| match &kind {
            Kind::Function { name: own_name, .. } => own_name != *name,
            Kind::Script(_) => true,
        };
        let called: Vec<String> = compiled.build.function_names.iter().filter(is_other).cloned().collect();
        link(compiled, &called, &known)
    })
    .await
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
    on_blocking_thread(move || compile_here(&kind, &code, &packages)).await
}

/// Does work of the builder on a thread for blocking work. The time of such work depends on the author's text.
async fn on_blocking_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| ApiError::Internal(format!("the builder failed: {error}").into()))?
}

/// Builds code. Blocking.
fn compile_here(kind: &Kind, code: &str, packages: &ResolvedPackages) -> Result<Compiled, ApiError> {
    let began = Instant::now();
    let (label, unit) = match kind {
        Kind::Script(code_type) => ("script", Unit::Script(*code_type)),
        Kind::Function { name, parameters } => ("function", Unit::Function { name, parameters }),
    };
    let Report { build, diagnostics } = packages.build(unit, code);
    let outcome = if build.is_some() { "built" } else { "refused" };
    BUILD_DURATION.with([label, outcome]).record(began.elapsed());
    match build {
        Some(build) => Ok(Compiled { build, warnings: diagnostics }),
        None => Err(ApiError::Code(diagnostics)),
    }
}

/// Resolves the functions that `called` needs. An unknown function is a diagnostic where the code first uses it.
/// Blocking.
pub(crate) fn link(
    compiled: Compiled,
    called: &[String],
    known: &[KnownFunction],
) -> Result<Built, ApiError> {
    let Compiled { build, mut warnings } = compiled;
    match resolve(called, known) {
        Ok(functions) => Ok(Built { build, functions, warnings }),
        Err(unknown) => {
            warnings.extend(unknown_functions(&unknown, &build, known));
            Err(ApiError::Code(listed(warnings)))
        }
    }
}

/// Returns the diagnostics of unknown functions, in the order of their first uses. A function that only other functions
/// need is unknown at the start of the code.
fn unknown_functions(unknown: &[String], build: &Build, known: &[KnownFunction]) -> Vec<Diagnostic> {
    let uses: HashMap<&str, &FunctionUse> =
        build.function_uses.iter().map(|found| (found.name.as_str(), found)).collect();
    let place = |name| {
        let (start, end) = uses.get(name).map_or_else(Default::default, |found| (found.start, found.end));
        (start, end, name)
    };
    let mut places: Vec<_> = unknown.iter().map(|name| place(name.as_str())).collect();
    places.sort_unstable();
    let mut suggestions = suggestions(known);
    let diagnostic = |(start, end, name): (Position, Position, &str)| Diagnostic {
        rule: UNKNOWN_FUNCTION.to_owned(),
        severity: Severity::Error,
        message: unknown_message(name, &suggestions.near(name)),
        line: start.line + 1,
        column: start.column + 1,
        end_line: end.line + 1,
        end_column: end.column + 1,
    };
    places.into_iter().map(diagnostic).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::execution::CodeType;

    fn function(name: &str) -> KnownFunction {
        KnownFunction { name: name.into(), build_hash: String::new(), function_names: Vec::new() }
    }

    async fn diagnostics(calls: &str, known: Vec<KnownFunction>) -> Vec<Diagnostic> {
        let code = format!("export default (input, {{ Functions }}) => {{\n{calls}}}");
        let kind = Kind::Script(CodeType::MainFn);
        match build(kind, code, ResolvedPackages::default(), known).await {
            Err(ApiError::Code(diagnostics)) => diagnostics,
            other => panic!("not refused for its code: {other:?}"),
        }
    }

    #[tokio::test]
    async fn unknown_functions_are_reported_where_they_are_called() {
        let calls = "Functions.zebra({});\nFunctions.sendEmial({});\nFunctions.zebra({});\n";
        let found = diagnostics(calls, vec![function("sendEmail")]).await;
        let places: Vec<_> = found.iter().map(|found| (found.line, found.message.as_str())).collect();
        let expected = [
            (2, "There is no function zebra."),
            (3, "There is no function sendEmial; did you mean sendEmail?"),
        ];
        assert_eq!(places, expected);
    }

    #[tokio::test]
    async fn a_hundred_of_thousands_of_unknown_names_are_reported() {
        let calls: Vec<_> =
            (0..3_400).map(|number| format!("Functions.sendEmail{number}({{}});\n")).collect();
        let found = diagnostics(&calls.concat(), vec![function("sendEmail")]).await;
        assert_eq!(found.len(), builder::MAX_DIAGNOSTICS);
        assert_eq!((found[98].line, found[99].rule.as_str()), (100, "more-findings"));
        assert!(found[99].message.contains(" 3301 more "), "{:?}", found[99]);
        let suggested = found.iter().filter(|found| found.message.contains("did you mean sendEmail?"));
        assert_eq!(suggested.count(), 20);
    }
}
