//! Which function of a text is called, and how the text is wrapped so that evaluating it yields that function.
//!
//! Invariant: wrapping adds no name to the author's scopes except those the script contract promises, and reads the
//! entry function out of the author's own scope, never from a global.

use super::diagnostic::Finding;
use super::rule;
use swc_common::{DUMMY_SP, Span, Spanned, SyntaxContext};
use swc_ecma_ast::{
    BindingIdent, Decl, DefaultDecl, ExportSpecifier, Expr, FnDecl, FnExpr, Ident, ModuleDecl,
    ModuleExportName, ModuleItem, Pat, Program, ReturnStmt, Stmt, VarDecl, VarDeclKind, VarDeclarator,
};
use swc_ecma_visit::{Visit, VisitWith};

/// What stands around the author's statements. The header is one line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wrapper {
    pub(super) header: String,
    pub(super) footer: &'static str,
}

impl Wrapper {
    /// For statements that end in `return <entry function>`. Modules are strict and have no `this`; scripts are
    /// sloppy unless they say otherwise, and their `this` is the global object.
    fn returning(strict: bool) -> Self {
        let header = if strict { "(function () { \"use strict\";" } else { "(() => {" };
        Self { header: header.to_owned(), footer: "})();" }
    }

    /// For the body of a script. `input` and the rest live one function further out, so that the body may declare
    /// the same names itself.
    pub(super) fn raw_body() -> Self {
        let header = "(input, env, event = input?.event, context = input?.context) => (async function () {";
        Self { header: header.to_owned(), footer: "})();" }
    }

    /// For a bare function body whose parameters are variables.
    pub(super) fn function_body(parameters: &[String]) -> Self {
        Self {
            header: format!("({{ {} }} = {{}}) => (async function () {{", parameters.join(", ")),
            footer: "})();",
        }
    }
}

const EXPECTED_MAIN: &str = "Expected exactly one `async function main(input, env) { … }`";

/// Makes a script's top level end in `return <main>`.
pub(super) fn main_function(program: &mut Program) -> Result<Wrapper, Finding> {
    let mut top_level = TopLevel::flatten(program);
    let mut candidates: Vec<Candidate> =
        top_level.named.iter().filter(|candidate| candidate.name == "main").cloned().collect();
    candidates.append(&mut top_level.default);
    // `export default main` and `export { main }` name what is already declared.
    candidates.dedup_by(|later, earlier| later.ident.to_id() == earlier.ident.to_id() && !later.declares);
    match candidates.as_slice() {
        [] => Err(Finding::error(
            rule::ENTRY_POINT,
            Span::new(program.span().lo, program.span().lo),
            format!("No `main` function. {EXPECTED_MAIN} at the top level."),
        )),
        [only] => only.checked("main").map(|entry| top_level.returning(program, entry)),
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
pub(super) fn declared_function(program: &mut Program, name: &str) -> Result<Option<Wrapper>, Finding> {
    let mut top_level = TopLevel::flatten(program);
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
        [only] => only.checked(name).map(|entry| Some(top_level.returning(program, entry))),
        [_, second, ..] => Err(Finding::error(
            rule::ENTRY_POINT,
            second.span,
            format!(
                "More than one function is declared. Name the one to call `{name}`, or export it as default."
            ),
        )),
    }
}

/// Makes a parenthesised function expression end in `return <expression>`; `None` if it is another expression.
pub(super) fn function_expression(program: &mut Program) -> Option<Wrapper> {
    let [Stmt::Expr(statement)] = statements(program)?.as_mut_slice() else { return None };
    if kind_of(&statement.expr) != Kind::Function {
        return None;
    }
    let argument = Some(std::mem::take(&mut statement.expr));
    statements(program)?[0] = Stmt::Return(ReturnStmt { span: DUMMY_SP, arg: argument });
    Some(Wrapper::returning(false))
}

/// A bare body's parameters become variables, so each must be a name that can be one.
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

/// Replaces a body's function declaration by the statements in it.
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Function,
    /// May turn out to be a function when it is evaluated.
    Computed,
    Other,
}

/// Something at the top level that may be the entry function.
#[derive(Clone, Debug)]
struct Candidate {
    name: String,
    ident: Ident,
    span: Span,
    kind: Kind,
    /// False for `export default main`, which only names a declaration.
    declares: bool,
}

impl Candidate {
    const fn is_function(&self) -> bool {
        matches!(self.kind, Kind::Function)
    }

    fn checked(&self, expected: &str) -> Result<Ident, Finding> {
        match self.kind {
            Kind::Function | Kind::Computed => Ok(self.ident.clone()),
            Kind::Other => Err(Finding::error(
                rule::ENTRY_POINT,
                self.span,
                format!("`{expected}` is not a function. Expected `async function {expected}(…) {{ … }}`."),
            )),
        }
    }
}

/// The top level of a program, without its exports.
struct TopLevel {
    /// Every name declared at the top level, in order.
    named: Vec<Candidate>,
    /// The default export, and what is exported under the name `main` or `default`.
    default: Vec<Candidate>,
    is_module: bool,
    /// Something other than declarations and directives stands at the top level.
    has_statements: bool,
}

impl TopLevel {
    /// Turns exports into plain declarations and notes what they name.
    fn flatten(program: &mut Program) -> Self {
        let anonymous = fresh_name(program);
        let mut top_level = Self { named: vec![], default: vec![], is_module: false, has_statements: false };
        match program {
            Program::Script(script) => {
                script.body.iter().for_each(|statement| top_level.note(statement));
            }
            Program::Module(module) => {
                let items = std::mem::take(&mut module.body);
                let mut exported = Vec::new();
                for item in items {
                    match item {
                        ModuleItem::ModuleDecl(declaration) => {
                            if let Some(item) =
                                top_level.unwrap_export(declaration, &anonymous, &mut exported)
                            {
                                module.body.push(item);
                            }
                        }
                        ModuleItem::Stmt(statement) => {
                            top_level.note(&statement);
                            module.body.push(ModuleItem::Stmt(statement));
                        }
                    }
                }
                for (ident, span) in exported {
                    top_level.name_default(&ident, span);
                }
            }
        }
        top_level
    }

    fn unwrap_export(
        &mut self,
        declaration: ModuleDecl,
        anonymous: &str,
        exported: &mut Vec<(Ident, Span)>,
    ) -> Option<ModuleItem> {
        self.is_module |= !matches!(declaration, ModuleDecl::TsImportEquals(_));
        let statement = match declaration {
            ModuleDecl::ExportDecl(export) => Stmt::Decl(export.decl),
            ModuleDecl::ExportDefaultDecl(export) => {
                let span = export.span;
                match export.decl {
                    DefaultDecl::Fn(FnExpr { ident: Some(ident), function }) => {
                        exported.push((ident.clone(), span));
                        Stmt::Decl(Decl::Fn(FnDecl { ident, declare: false, function }))
                    }
                    DefaultDecl::Fn(function) => {
                        let value = Box::new(Expr::Fn(function));
                        return Some(self.bind_default(anonymous, span, value, Kind::Function));
                    }
                    DefaultDecl::Class(class) => {
                        return Some(self.bind_default(
                            anonymous,
                            span,
                            Box::new(Expr::Class(class)),
                            Kind::Other,
                        ));
                    }
                    DefaultDecl::TsInterfaceDecl(interface) => Stmt::Decl(Decl::TsInterface(interface)),
                }
            }
            ModuleDecl::ExportDefaultExpr(export) => {
                if let Expr::Ident(ident) = &*export.expr {
                    exported.push((ident.clone(), export.span));
                    return None;
                }
                let kind = kind_of(&export.expr);
                return Some(self.bind_default(anonymous, export.span, export.expr, kind));
            }
            ModuleDecl::ExportNamed(export) if export.src.is_none() => {
                for specifier in &export.specifiers {
                    if let ExportSpecifier::Named(named) = specifier
                        && let ModuleExportName::Ident(local) = &named.orig
                    {
                        let public = named.exported.as_ref().unwrap_or(&named.orig);
                        if matches!(public.atom().as_str(), "main" | "default")
                            && !named.is_type_only
                            && !export.type_only
                        {
                            exported.push((local.clone(), named.span));
                        }
                    }
                }
                return None;
            }
            // Reported by the lint for modules where it isn't only about types.
            other => return Some(ModuleItem::ModuleDecl(other)),
        };
        self.note(&statement);
        Some(ModuleItem::Stmt(statement))
    }

    /// Gives a default export a name of our own, which no identifier of the text equals.
    fn bind_default(&mut self, name: &str, span: Span, value: Box<Expr>, kind: Kind) -> ModuleItem {
        let ident = Ident::new(name.into(), DUMMY_SP, SyntaxContext::empty());
        self.default.push(Candidate {
            name: "default".to_owned(),
            ident: ident.clone(),
            span,
            kind,
            declares: true,
        });
        ModuleItem::Stmt(Stmt::Decl(Decl::Var(Box::new(VarDecl {
            kind: VarDeclKind::Const,
            decls: vec![VarDeclarator {
                span: DUMMY_SP,
                name: Pat::Ident(BindingIdent { id: ident, type_ann: None }),
                init: Some(value),
                definite: false,
            }],
            ..VarDecl::default()
        }))))
    }

    fn name_default(&mut self, ident: &Ident, span: Span) {
        let declared = self.named.iter().find(|candidate| candidate.ident.to_id() == ident.to_id());
        let kind = declared.map_or(Kind::Computed, |candidate| candidate.kind);
        let name = if &*ident.sym == "main" { "main" } else { "default" };
        self.default.push(Candidate {
            name: name.to_owned(),
            ident: ident.clone(),
            span,
            kind,
            declares: false,
        });
    }

    fn note(&mut self, statement: &Stmt) {
        let mut add = |ident: &Ident, kind| {
            self.named.push(Candidate {
                name: ident.sym.to_string(),
                ident: ident.clone(),
                span: ident.span,
                kind,
                declares: true,
            });
        };
        match statement {
            Stmt::Decl(Decl::Fn(function)) if function.function.body.is_some() && !function.declare => {
                add(&function.ident, Kind::Function);
            }
            Stmt::Decl(Decl::Class(class)) if !class.declare => add(&class.ident, Kind::Other),
            Stmt::Decl(Decl::TsEnum(declaration)) if !declaration.declare => {
                add(&declaration.id, Kind::Other);
            }
            Stmt::Decl(Decl::Var(variables)) if !variables.declare => {
                for declarator in &variables.decls {
                    match &declarator.name {
                        Pat::Ident(ident) => {
                            let kind = declarator.init.as_ref().map_or(Kind::Computed, |init| kind_of(init));
                            add(ident, kind);
                        }
                        pattern => {
                            for ident in bindings(pattern) {
                                add(&ident, Kind::Computed);
                            }
                        }
                    }
                }
            }
            Stmt::Decl(_) | Stmt::Empty(_) => {}
            statement if is_directive(statement) => {}
            _ => self.has_statements = true,
        }
    }

    fn returning(&self, program: &mut Program, entry: Ident) -> Wrapper {
        let entry = Ident { span: DUMMY_SP, ..entry };
        let statement = Stmt::Return(ReturnStmt { span: DUMMY_SP, arg: Some(Box::new(Expr::Ident(entry))) });
        match program {
            Program::Script(script) => script.body.push(statement),
            Program::Module(module) => module.body.push(ModuleItem::Stmt(statement)),
        }
        Wrapper::returning(self.is_module)
    }
}

fn is_directive(statement: &Stmt) -> bool {
    matches!(statement, Stmt::Expr(expression) if matches!(&*expression.expr, Expr::Lit(swc_ecma_ast::Lit::Str(_))))
}

/// What an expression will be, as far as its outermost syntax tells.
fn kind_of(expression: &Expr) -> Kind {
    match expression {
        Expr::Fn(_) | Expr::Arrow(_) => Kind::Function,
        Expr::Paren(inner) => kind_of(&inner.expr),
        Expr::TsAs(inner) => kind_of(&inner.expr),
        Expr::TsSatisfies(inner) => kind_of(&inner.expr),
        Expr::TsTypeAssertion(inner) => kind_of(&inner.expr),
        Expr::TsConstAssertion(inner) => kind_of(&inner.expr),
        Expr::TsNonNull(inner) => kind_of(&inner.expr),
        Expr::Lit(_) | Expr::Object(_) | Expr::Array(_) | Expr::Class(_) | Expr::Tpl(_) | Expr::New(_) => {
            Kind::Other
        }
        _ => Kind::Computed,
    }
}

/// The identifiers a pattern binds.
fn bindings(pattern: &Pat) -> Vec<Ident> {
    struct Bindings(Vec<Ident>);
    impl Visit for Bindings {
        fn visit_binding_ident(&mut self, ident: &BindingIdent) {
            self.0.push(ident.id.clone());
        }
        fn visit_expr(&mut self, _: &Expr) {}
    }
    let mut bindings = Bindings(vec![]);
    pattern.visit_with(&mut bindings);
    bindings.0
}

/// A name that no identifier of the program has; `main` if it is free, for readable stack traces.
fn fresh_name(program: &Program) -> String {
    struct Taken<'a> {
        name: &'a str,
        found: bool,
    }
    impl Visit for Taken<'_> {
        fn visit_ident(&mut self, ident: &Ident) {
            self.found |= &*ident.sym == self.name;
        }
    }
    let mut name = "main".to_owned();
    loop {
        let mut taken = Taken { name: &name, found: false };
        program.visit_with(&mut taken);
        if !taken.found {
            return name;
        }
        name.push('_');
    }
}
