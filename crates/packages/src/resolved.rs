//! A script's packages, had before it is built: what the api does when a script is saved, and the worker's `/build`
//! and `/validate`.

use crate::{Packages, Refusal};
use builder::{BundledImports, Diagnostic, Import, Report, Severity, Unit, build_with_imports, imports};
use shared::execution::CodeType;
use tokio::task::{JoinError, spawn_blocking};

/// Name of the rule for packages that can't be had.
const PACKAGE: &str = "package";

/// What a script imports, bundled; and what is wrong with its imports. Nothing for a script without any.
#[derive(Clone, Debug, Default)]
pub struct Prepared {
    linked: BundledImports,
    errors: Vec<Diagnostic>,
}

impl Prepared {
    /// Has the packages of a script. With packages off nothing is had, and the builder refuses imports itself.
    ///
    /// # Errors
    /// The builder panicked, which is a defect.
    pub async fn of(packages: Option<&Packages>, code: &str) -> Result<Self, JoinError> {
        let Some(packages) = packages else { return Ok(Self::default()) };
        let text = code.to_owned();
        let imports = spawn_blocking(move || imports(Unit::Script(CodeType::MainFn), &text)).await?;
        if imports.is_empty() {
            return Ok(Self::default());
        }
        Ok(match packages.link(imports.clone()).await {
            Ok(linked) => Self { linked, errors: Vec::new() },
            Err(refusals) => {
                let errors = refusals.iter().filter_map(|refusal| diagnostic(refusal, &imports)).collect();
                // As if they were there, so that the rest of the text is judged by itself.
                Self { linked: BundledImports { code: "{}".to_owned(), imports }, errors }
            }
        })
    }

    /// Builds the text that this was made for. Blocking.
    pub fn build(&self, unit: Unit<'_>, code: &str) -> Report {
        build_with_imports(unit, code, &self.linked).refused_with(self.errors.clone())
    }
}

fn diagnostic(refusal: &Refusal, imports: &[Import]) -> Option<Diagnostic> {
    let Import { start, end, .. } = imports.get(refusal.import)?;
    Some(Diagnostic {
        rule: PACKAGE.to_owned(),
        severity: Severity::Error,
        message: refusal.message.clone(),
        line: start.line + 1,
        column: start.column + 1,
        end_line: end.line + 1,
        end_column: end.column + 1,
    })
}
