//! Parser from text to a syntax tree.
//!
//! TypeScript is tried first, because a TypeScript text can also be JavaScript with another meaning (`f<T>(x)`). A body
//! is parsed inside the function it will run in and must fill exactly that function, so that no text can close it.
//! Every function takes the `bound` of the text, as computed by [`nesting::check_text`].

use crate::{
    diagnostic::Finding,
    jsx,
    nesting::{self, DepthBound},
    rule,
};
use swc_common::{BytePos, Span, Spanned};
use swc_ecma_ast::{Decl, EsVersion, Expr, FnDecl, ModuleItem, Program, Stmt};
use swc_ecma_parser::{EsSyntax, Lexer, Parser, StringInput, Syntax, TsSyntax, error::Error};

/// Position of the first byte of a parsed text. Not 0, which is swc's "no position".
pub(super) const START: u32 = 1;

const BODY_PREFIX: &str = "async function body() {";
const BODY_SUFFIX: &str = "\n}";
const EXPRESSION_PREFIX: &str = "(";
const EXPRESSION_SUFFIX: &str = "\n)";

/// Syntax tree of a text.
pub(super) struct Tree {
    pub(super) program: Program,
    /// Position of the author's first byte. The prefix added by the builder lies before it.
    pub(super) base: u32,
}

/// Findings of a text that has no tree. Positions are relative to `base`, as in [`Tree`].
pub(super) struct Rejection {
    pub(super) findings: Vec<Finding>,
    pub(super) base: u32,
}

impl Rejection {
    /// Offset into the author's text of the first finding: how far parsing got.
    pub(super) fn progress(&self) -> u32 {
        self.findings.iter().map(|finding| finding.span.lo.0.saturating_sub(self.base)).min().unwrap_or(0)
    }
}

/// Parses a whole script or module.
pub(super) fn program(text: &str, bound: DepthBound) -> Result<Tree, Rejection> {
    let base = START;
    parse(text, bound).map(|program| Tree { program, base }).map_err(|findings| Rejection { findings, base })
}

/// Parses the body of an async function. The tree is one function declaration.
pub(super) fn body(text: &str, bound: DepthBound) -> Result<Tree, Rejection> {
    let base = START + length(BODY_PREFIX);
    let whole = [BODY_PREFIX, text, BODY_SUFFIX].concat();
    let program = parse(&whole, bound).map_err(|findings| Rejection { findings, base })?;
    let end = START + length(&whole);
    match only_statement(&program) {
        Some(Stmt::Decl(Decl::Fn(FnDecl { function, .. }))) if function.span.hi.0 == end => {
            Ok(Tree { program, base })
        }
        first => {
            let closed_at = first.map_or(BytePos(base), |statement| statement.span().hi - BytePos(1));
            let span = Span::new(closed_at, closed_at + BytePos(1));
            let finding = Finding::error(rule::SYNTAX, span, "Unexpected `}`: it closes nothing.");
            Err(Rejection { findings: vec![finding], base })
        }
    }
}

/// Parses one expression, such as an anonymous function. The tree is one parenthesised expression statement.
pub(super) fn expression(text: &str, bound: DepthBound) -> Option<Tree> {
    let text = text.trim_end_matches(|c: char| c.is_whitespace() || c == ';');
    let whole = [EXPRESSION_PREFIX, text, EXPRESSION_SUFFIX].concat();
    let program = parse(&whole, bound).ok()?;
    let end = START + length(&whole);
    let Some(Stmt::Expr(statement)) = only_statement(&program) else { return None };
    match &*statement.expr {
        Expr::Paren(paren) if paren.span.lo.0 == START && paren.span.hi.0 == end => {
            Some(Tree { program, base: START + length(EXPRESSION_PREFIX) })
        }
        _ => None,
    }
}

fn length(text: &str) -> u32 {
    u32::try_from(text.len()).expect("the code limit keeps texts far below 4 GiB")
}

/// The only statement of a module, or the first statement of a script, which [`body`] needs for its message.
fn only_statement(program: &Program) -> Option<&Stmt> {
    match program {
        Program::Script(script) => match script.body.as_slice() {
            [statement] => Some(statement),
            _ => script.body.first(),
        },
        Program::Module(module) => match module.body.as_slice() {
            [ModuleItem::Stmt(statement)] => Some(statement),
            _ => None,
        },
    }
}

fn parse(text: &str, bound: DepthBound) -> Result<Program, Vec<Finding>> {
    let program = parse_any(text)?;
    nesting::check_tree(&program, bound).map_err(|finding| vec![finding])?;
    Ok(program)
}

fn parse_any(text: &str) -> Result<Program, Vec<Finding>> {
    let typescript = TsSyntax { decorators: true, ..TsSyntax::default() };
    let errors = match attempt(text, Syntax::Typescript(typescript)) {
        Ok(program) => return Ok(program),
        Err(errors) => errors,
    };
    let javascript = EsSyntax {
        decorators: true,
        decorators_before_export: true,
        auto_accessors: true,
        explicit_resource_management: true,
        ..EsSyntax::default()
    };
    let errors = match attempt(text, Syntax::Es(javascript)) {
        Ok(program) => return Ok(program),
        Err(others) if errors.is_empty() => others,
        Err(_) => errors,
    };
    let reached = errors.iter().map(|error| error.span().lo.0.saturating_sub(START)).min();
    if let Some(finding) = jsx::check(text, reached.map_or(text.len(), |offset| offset as usize), START) {
        return Err(vec![finding]);
    }
    if errors.is_empty() {
        let end = BytePos(START + length(text));
        return Err(vec![Finding::error(rule::SYNTAX, Span::new(end, end), "The code ends unexpectedly.")]);
    }
    Err(errors.iter().map(syntax_finding).collect())
}

/// Parses the text with one syntax. swc panics on some malformed texts: these are reported like any other syntax error.
fn attempt(text: &str, syntax: Syntax) -> Result<Program, Vec<Error>> {
    std::panic::catch_unwind(|| attempt_or_panic(text, syntax)).unwrap_or(Err(vec![]))
}

fn attempt_or_panic(text: &str, syntax: Syntax) -> Result<Program, Vec<Error>> {
    let input = StringInput::new(text, BytePos(START), BytePos(START + length(text)));
    let mut parser = Parser::new_from(Lexer::new(syntax, EsVersion::EsNext, input, None));
    let program = parser.parse_program();
    let mut errors = parser.take_errors();
    match program {
        Ok(program) if errors.is_empty() => Ok(program),
        Ok(_) => Err(errors),
        Err(fatal) => {
            errors.push(fatal);
            Err(errors)
        }
    }
}

fn syntax_finding(error: &Error) -> Finding {
    let message = error.kind().msg().into_owned();
    let stop = if message.ends_with(['.', '!', '?']) { "" } else { "." };
    Finding::error(rule::SYNTAX, error.span(), format!("{message}{stop}"))
}
