//! Entry function of a text, and the wrapper that makes the text evaluate to that function.
//!
//! Invariant: the wrapper adds no names to the author's scopes except those the script contract promises. It reads the
//! entry function from the author's own scope, never from a global.

mod top_level;

use crate::{diagnostic::Finding, packages::BundledImports, rule};
use swc_common::{DUMMY_SP, Span, Spanned};
use swc_ecma_ast::{Decl, Ident, Program, ReturnStmt, Stmt};
use top_level::{Candidate, CandidateKind, TopLevel, kind_of};

/// Code around the author's statements. The header is one line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wrapper {
    pub(super) header: String,
    pub(super) footer: String,
    /// The statements are the body of an async function in the wrapper.
    is_body: bool,
}

impl Wrapper {
    /// Wraps statements that end in `return <entry function>`. Modules are strict and have no `this`. Scripts are
    /// sloppy unless they contain `"use strict"`, and their `this` is the global object.
    fn returning(strict: bool) -> Self {
        let header = if strict { "(function () { \"use strict\";" } else { "(() => {" };
        Self { header: header.to_owned(), footer: "})();".to_owned(), is_body: false }
    }

    /// Passes the bundle's value to the statements as the variable `variable`. The bundle follows the statements, so
    /// that the author's first line stays the second line.
    fn with_packages(self, variable: &str, bundle: &str) -> Self {
        Self {
            header: format!("(({variable}) => {}", self.header),
            footer: format!("{})(\n{bundle}\n);", self.footer.trim_end_matches(';')),
            ..self
        }
    }

    pub(super) const fn is_body(&self) -> bool {
        self.is_body
    }

    /// Wraps the body of a script. `input` and the other parameters belong to an outer function, so that the body may
    /// declare the same names.
    pub(super) fn raw_body() -> Self {
        let header = "(input, env, event = input?.event, context = input?.context) => (async function () {";
        Self { header: header.to_owned(), footer: "})();".to_owned(), is_body: true }
    }

    /// Wraps a bare function body, with its parameters as variables.
    pub(super) fn function_body(parameters: &[String]) -> Self {
        Self {
            header: format!("({{ {} }} = {{}}) => (async function () {{", parameters.join(", ")),
            footer: "})();".to_owned(),
            is_body: true,
        }
    }
}

const EXPECTED_MAIN: &str = "Expected exactly one `async function main(input, env) { … }`";

/// Appends `return <main>` to a script's top level.
pub(super) fn main_function(program: &mut Program, bundled: &BundledImports) -> Result<Wrapper, Finding> {
    let mut top_level = TopLevel::flatten(program, bundled);
    let mut candidates: Vec<Candidate> =
        top_level.named.iter().filter(|candidate| candidate.name == "main").cloned().collect();
    candidates.append(&mut top_level.default);
    // `export default main` and `export { main }` refer to a declaration that is already listed.
    candidates.dedup_by(|later, earlier| later.ident.to_id() == earlier.ident.to_id() && !later.declares);
    match candidates.as_slice() {
        [] => Err(Finding::error(
            rule::ENTRY_POINT,
            Span::new(program.span().lo, program.span().lo),
            format!("No `main` function. {EXPECTED_MAIN} at the top level."),
        )),
        [only] => only.checked("main").map(|entry| top_level.returning(program, entry, bundled)),
        [first, second, ..] => Err(Finding::error(
            rule::ENTRY_POINT,
            second.span,
            if first.name == second.name {
                format!("`main` is declared more than once. {EXPECTED_MAIN}.")
            } else {
                format!("Both `main` and a default export are there. {EXPECTED_MAIN}.")
            },
        )),
    }
}

/// Makes a function's top level end in `return <function>`; `None` if the text is a bare body.
pub(super) fn declared_function(
    program: &mut Program,
    name: &str,
    bundled: &BundledImports,
) -> Result<Option<Wrapper>, Finding> {
    let mut top_level = TopLevel::flatten(program, bundled);
    let by_name = top_level.named.iter().filter(|candidate| candidate.name == name).cloned();
    let mut candidates: Vec<Candidate> = by_name.collect();
    candidates.append(&mut top_level.default);
    candidates.dedup_by(|later, earlier| later.ident.to_id() == earlier.ident.to_id() && !later.declares);
    if candidates.is_empty() {
        if top_level.has_statements {
            return Ok(None);
        }
        candidates = top_level.named.iter().filter(|candidate| candidate.is_function()).cloned().collect();
    }
    match candidates.as_slice() {
        [] if top_level.is_module => Err(Finding::error(
            rule::ENTRY_POINT,
            Span::new(program.span().lo, program.span().lo),
            format!("No function is declared. Expected `async function {name}({{ … }}) {{ … }}`."),
        )),
        [] => Ok(None),
        [only] => only.checked(name).map(|entry| Some(top_level.returning(program, entry, bundled))),
        [_, second, ..] => Err(Finding::error(
            rule::ENTRY_POINT,
            second.span,
            format!(
                "More than one function is declared. Name the one to call `{name}`, or export it as default."
            ),
        )),
    }
}

/// Turns a parenthesised function expression into `return <expression>`. `None` for any other expression.
pub(super) fn function_expression(program: &mut Program) -> Option<Wrapper> {
    let [Stmt::Expr(statement)] = statements(program)?.as_mut_slice() else { return None };
    if kind_of(&statement.expr) != CandidateKind::Function {
        return None;
    }
    let argument = Some(std::mem::take(&mut statement.expr));
    statements(program)?[0] = Stmt::Return(ReturnStmt { span: DUMMY_SP, arg: argument });
    Some(Wrapper::returning(false))
}

/// Reports parameters of a bare body that cannot be variables: invalid and repeated names.
pub(super) fn check_parameters(parameters: &[String], base: u32) -> Vec<Finding> {
    let at = Span::new(swc_common::BytePos(base), swc_common::BytePos(base));
    let mut findings = Vec::new();
    for (index, parameter) in parameters.iter().enumerate() {
        let problem = if Ident::verify_symbol(parameter).is_err() || parameter == "await" {
            "is not a name that a variable can have"
        } else if parameters[..index].contains(parameter) {
            "is declared twice"
        } else {
            continue;
        };
        let message =
            format!("The parameter `{parameter}` {problem}; rename it, or write the code as a function.");
        findings.push(Finding::error(rule::PARAMETER_NAME, at, message));
    }
    findings
}

/// Replaces the function declaration around a body with the statements inside.
pub(super) fn unwrap_body(program: &mut Program) {
    let Some(body) = statements(program) else { return };
    if let Some(Stmt::Decl(Decl::Fn(declaration))) = body.first_mut() {
        *body = declaration.function.body.take().map(|block| block.stmts).unwrap_or_default();
    }
}

fn statements(program: &mut Program) -> Option<&mut Vec<Stmt>> {
    match program {
        Program::Script(script) => Some(&mut script.body),
        Program::Module(_) => None,
    }
}
