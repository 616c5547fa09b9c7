//! Builder of scripts: parses an author's text, checks it, detects the functions it uses and emits a build. Pure: no
//! I/O.
//!
//! Invariant: a run executes exactly the stored build. A [`Build`] is self-contained JavaScript, named by a hash over
//! everything it was made from. The same unit and text give the same build, byte for byte.
//!
//! ```
//! use builder::{Unit, build};
//! use shared::execution::CodeType;
//!
//! let report = build(Unit::Script(CodeType::MainFn), "export async function main({ event }, { Functions }) {
//!     return Functions.sendSlackMessage({ text: `${event.event_type}` });
//! }");
//! let build = report.build.expect("the script has no errors");
//! assert_eq!(build.function_names, ["sendSlackMessage"]);
//! ```

mod diagnostic;
mod early_errors;
mod emit;
mod entry;
mod function_usage;
mod jsx;
mod lint;
mod mappings;
mod nesting;
mod packages;
mod parse;
mod rule;
mod scope;
mod signature;
mod source;
mod source_map;
mod suggestions;
#[cfg(test)]
mod tests;
mod top_level_await;
mod writer;

pub use diagnostic::{Diagnostic, MAX_DIAGNOSTICS, Severity, listed};
pub use lint::{NODE_MODULES, is_node_module};
pub use packages::{BundledImports, Import, imports};
pub use signature::{is_type, returns_promise};
pub use source::Position;
pub use source_map::SourceMap;
pub use suggestions::{Suggestions, near_matches};

use diagnostic::Finding;
use entry::Wrapper;
use nesting::DepthBound;
use parse::{Rejection, Tree};
use scope::Scope;
use sha2::{Digest, Sha256};
use shared::{execution::CodeType, limits::CODE_BYTES};
use source::Source;
use swc_common::{DUMMY_SP, GLOBALS, Globals, Mark, SyntaxContext};
use swc_ecma_transforms_base::resolver;

/// Version of the builder, part of every hash. Must be raised whenever the same text would give another build.
const VERSION: u32 = 2;

/// Stack of one build, in bytes of address space. Only the used part takes memory; `nesting` bounds that part.
const STACK_BYTES: usize = 16 * 1024 * 1024;

/// Stack of a thread that builds, in bytes. On a thread with this stack, no build allocates a stack of its own, which
/// would take longer than some phases of the build.
pub const THREAD_STACK_BYTES: usize = STACK_BYTES + 1024 * 1024;

/// Kind of code that a text is built as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit<'a> {
    /// Script, called with `(input, env)`.
    Script(CodeType),
    /// Function that scripts call as `Functions.<name>({…})`.
    Function {
        name: &'a str,
        /// Names of the declared parameters; in a bare function body they are variables.
        parameters: &'a [String],
    },
}

/// Result of a build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// `Some` exactly if no diagnostic is an error.
    pub build: Option<Build>,
    /// Sorted by position, at most [`MAX_DIAGNOSTICS`].
    pub diagnostics: Vec<Diagnostic>,
}

/// Compiled code of one text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Build {
    /// Classic script whose completion value is the entry function, ending in an inline source map.
    pub code: String,
    /// SHA-256 in hex over the builder's version, the unit, the source and the packages bundled for it.
    pub hash: String,
    /// Functions that the text uses directly, sorted. The caller resolves the functions that those use in turn.
    pub function_names: Vec<String>,
    /// Entries of the same functions, with the position of the first use of each.
    pub function_uses: Vec<FunctionUse>,
}

/// The first use of a function in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionUse {
    pub name: String,
    pub start: Position,
    /// Position just after the last character.
    pub end: Position,
}

/// Parses, checks and compiles a text. Never fails: the report lists the errors of the text.
///
/// Takes well under a millisecond for a typical script. Safe for hostile text: size and nesting are bounded.
pub fn build(unit: Unit<'_>, code: &str) -> Report {
    build_with_imports(unit, code, &BundledImports::default())
}

/// Builds a text together with the packages bundled for its [`imports`].
pub fn build_with_imports(unit: Unit<'_>, code: &str, bundled: &BundledImports) -> Report {
    let source = Source::new(code);
    if code.len() > CODE_BYTES {
        let message = format!("The code is {} bytes long; the limit is {CODE_BYTES}.", code.len());
        return Report::without_build(vec![Finding::error(rule::CODE_SIZE, DUMMY_SP, message)], 0, &source);
    }
    with_stack(|| match compile(unit, &source, bundled) {
        Ok(compiled) => Report {
            build: compiled.code.map(|compiled_code| Build {
                code: compiled_code,
                hash: hash(unit, code, bundled),
                function_names: compiled.function_uses.iter().map(|found| found.name.clone()).collect(),
                function_uses: compiled.function_uses,
            }),
            diagnostics: diagnostics(compiled.findings, compiled.base, &source),
        },
        Err(rejection) => Report::without_build(rejection.findings, rejection.base, &source),
    })
}

/// Runs work on syntax trees with swc's globals set and a sufficient stack.
fn with_stack<T>(work: impl FnOnce() -> T) -> T {
    stacker::maybe_grow(STACK_BYTES, STACK_BYTES, || GLOBALS.set(&Globals::new(), work))
}

impl Report {
    /// Adds errors to the report and drops its build. Without errors the report is unchanged.
    #[must_use]
    pub fn with_errors(mut self, errors: Vec<Diagnostic>) -> Self {
        if !errors.is_empty() {
            self.build = None;
            self.diagnostics.extend(errors);
            self.diagnostics = listed(self.diagnostics);
        }
        self
    }

    fn without_build(findings: Vec<Finding>, base: u32, source: &Source<'_>) -> Self {
        Self { build: None, diagnostics: diagnostics(findings, base, source) }
    }
}

struct Compiled {
    /// `None` if any finding is an error.
    code: Option<String>,
    /// Sorted by name.
    function_uses: Vec<FunctionUse>,
    findings: Vec<Finding>,
    base: u32,
}

fn compile(unit: Unit<'_>, source: &Source<'_>, bundled: &BundledImports) -> Result<Compiled, Rejection> {
    let bound = nesting::check_text(&source.text).map_err(|finding| {
        // Deeply nested tags are more likely JSX than nested JavaScript, so JSX is reported first.
        let jsx = jsx::check(&source.text, finding.span.lo.0 as usize, 0);
        Rejection { findings: vec![jsx.unwrap_or(finding)], base: 0 }
    })?;
    let Wrapped { tree: Tree { program, base }, wrapper, outer_names, mut findings } =
        wrap(unit, &source.text, bound, bundled)?;
    findings.extend(early_errors::check(&program, &source.text));
    let marks = emit::Marks { unresolved: Mark::new(), top_level: Mark::new() };
    let program = program.apply(resolver(marks.unresolved, marks.top_level, true));
    let unresolved = SyntaxContext::empty().apply_mark(marks.unresolved);
    let scope = Scope { unresolved, outer_names: &outer_names };
    let detected = function_usage::function_uses(&program, scope, &source.text, base);
    findings.extend(detected.findings);
    findings.extend(lint::check(&program, scope, &source.text));
    let program = emit::lower(program, marks);
    let refused = findings.iter().any(|finding| finding.severity == Severity::Error);
    let code = wrapper.filter(|_| !refused).map(|wrapper| emit::print(program, &wrapper, base, source));
    let position = |at: swc_common::BytePos| source.position(at.0.saturating_sub(base) as usize);
    let function_uses = detected.names.into_iter().map(|(name, span)| FunctionUse {
        name,
        start: position(span.lo),
        end: position(span.hi),
    });
    Ok(Compiled { code, function_uses: function_uses.collect(), findings, base })
}

/// Tree whose top level holds the statements inside the wrapper.
struct Wrapped {
    tree: Tree,
    /// `None` if there is no entry function; a finding states the reason.
    wrapper: Option<Wrapper>,
    /// Variables that the wrapper declares around the text.
    outer_names: Vec<String>,
    findings: Vec<Finding>,
}

fn wrap(
    unit: Unit<'_>,
    text: &str,
    bound: DepthBound,
    bundled: &BundledImports,
) -> Result<Wrapped, Rejection> {
    match unit {
        Unit::Script(CodeType::MainFn) => {
            let mut tree = parse::program(text, bound)?;
            let mut findings = top_level_await::check(&tree.program);
            let wrapper = entry::main_function(&mut tree.program, bundled)
                .map_err(|finding| findings.push(finding))
                .ok();
            Ok(Wrapped { tree, wrapper, outer_names: vec![], findings })
        }
        Unit::Script(CodeType::Raw) => {
            let mut tree = parse::body(text, bound)?;
            entry::unwrap_body(&mut tree.program);
            let outer_names = ["input", "env", "event", "context"].map(str::to_owned).to_vec();
            Ok(Wrapped { tree, wrapper: Some(Wrapper::raw_body()), outer_names, findings: vec![] })
        }
        Unit::Function { name, parameters } => wrap_function(name, parameters, text, bound, bundled),
    }
}

/// Reads the text as a declaration or default export, else as a function expression, else as a bare body.
fn wrap_function(
    name: &str,
    parameters: &[String],
    text: &str,
    bound: DepthBound,
    bundled: &BundledImports,
) -> Result<Wrapped, Rejection> {
    let as_program = parse::program(text, bound);
    let as_program = match as_program {
        Ok(mut tree) => {
            let findings = top_level_await::check(&tree.program);
            match entry::declared_function(&mut tree.program, name, bundled) {
                Ok(Some(wrapper)) => {
                    return Ok(Wrapped { tree, wrapper: Some(wrapper), outer_names: vec![], findings });
                }
                Ok(None) => None,
                Err(finding) => return Err(Rejection { findings: vec![finding], base: tree.base }),
            }
        }
        Err(rejection) => Some(rejection),
    };
    if let Some(mut tree) = parse::expression(text, bound)
        && let Some(wrapper) = entry::function_expression(&mut tree.program)
    {
        return Ok(Wrapped { tree, wrapper: Some(wrapper), outer_names: vec![], findings: vec![] });
    }
    let mut tree = match (parse::body(text, bound), as_program) {
        (Ok(tree), _) => tree,
        // The parse that got further is the form the author meant.
        (Err(body), Some(program)) if program.progress() > body.progress() => return Err(program),
        (Err(body), _) => return Err(body),
    };
    entry::unwrap_body(&mut tree.program);
    let findings = entry::check_parameters(parameters, tree.base);
    let wrapper = findings.is_empty().then(|| Wrapper::function_body(parameters));
    Ok(Wrapped { tree, wrapper, outer_names: parameters.to_vec(), findings })
}

fn diagnostics(findings: Vec<Finding>, base: u32, source: &Source<'_>) -> Vec<Diagnostic> {
    let offset = |position: swc_common::BytePos| position.0.saturating_sub(base) as usize;
    let positioned = findings.into_iter().map(|finding| {
        let start = source.position(offset(finding.span.lo));
        let end = source.position(offset(finding.span.hi)).max(start);
        Diagnostic {
            rule: finding.rule.to_owned(),
            severity: finding.severity,
            message: finding.message,
            line: start.line + 1,
            column: start.column + 1,
            end_line: end.line + 1,
            end_column: end.column + 1,
        }
    });
    listed(positioned.collect())
}

/// Hashes the inputs of a build. Every field is preceded by its length, so that different inputs never hash the same
/// bytes.
fn hash(unit: Unit<'_>, code: &str, bundled: &BundledImports) -> String {
    let mut hash = Sha256::new();
    let mut field = |text: &str| {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    };
    field(&VERSION.to_string());
    match unit {
        Unit::Script(code_type) => field(code_type.as_str()),
        Unit::Function { name, parameters } => {
            field("function");
            field(name);
            for parameter in parameters {
                field(parameter);
            }
        }
    }
    field(code);
    if !bundled.imports.is_empty() {
        field(&bundled.code);
    }
    hex::encode(hash.finalize())
}
