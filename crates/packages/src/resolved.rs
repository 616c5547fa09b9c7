//! Packages of a script, resolved before it is built: when the api saves a script, and in the worker's `/build` and
//! `/validate`.

use crate::{ImportError, Packages};
use builder::{BundledImports, Diagnostic, Import, Report, Severity, Unit, build_with_imports, imports};
use shared::execution::CodeType;
use tokio::task::{JoinError, spawn_blocking};

/// Name of the rule for packages that cannot be resolved or bundled.
const PACKAGE: &str = "package";

/// Bundled imports of a script, and the errors of its imports. Empty for a script without imports.
#[derive(Clone, Debug, Default)]
pub struct ResolvedPackages {
    bundled: BundledImports,
    errors: Vec<Diagnostic>,
}

impl ResolvedPackages {
    /// Resolves and bundles the packages of a script. Empty if packages are off: the builder then rejects imports.
    ///
    /// # Errors
    /// The builder panicked, which is a bug.
    pub async fn resolve(packages: Option<&Packages>, code: &str) -> Result<Self, JoinError> {
        let Some(packages) = packages else { return Ok(Self::default()) };
        let text = code.to_owned();
        let imports = spawn_blocking(move || imports(Unit::Script(CodeType::MainFn), &text)).await?;
        if imports.is_empty() {
            return Ok(Self::default());
        }
        Ok(match packages.bundle(imports.clone()).await {
            Ok(bundled) => Self { bundled, errors: Vec::new() },
            Err(errors) => {
                let errors = errors.iter().filter_map(|error| diagnostic(error, &imports)).collect();
                // Treated as bundled, so that the builder reports only the other errors of the text.
                Self { bundled: BundledImports { code: "{}".to_owned(), imports }, errors }
            }
        })
    }

    /// Builds the text whose packages these are. Blocking.
    pub fn build(&self, unit: Unit<'_>, code: &str) -> Report {
        build_with_imports(unit, code, &self.bundled).with_errors(self.errors.clone())
    }
}

fn diagnostic(error: &ImportError, imports: &[Import]) -> Option<Diagnostic> {
    let Import { start, end, .. } = imports.get(error.import)?;
    Some(Diagnostic {
        rule: PACKAGE.to_owned(),
        severity: Severity::Error,
        message: error.message.clone(),
        line: start.line + 1,
        column: start.column + 1,
        end_line: end.line + 1,
        end_column: end.column + 1,
    })
}
