//! Lint rules: report code that fails or misleads, with its line, before it runs.
//!
//! Each rule is one file and one or more entries of [`RULES`]. A rule reports an error only where the code can never
//! work, because an error prevents saving. All others are warnings: the lint helps the author, the isolate protects.
//!
//! Invariant: a rule examines one node at a time. One traversal passes every node to every rule for its kind.

mod code_from_string;
mod endless_loop;
mod missing_global;
mod module_system;
mod node_module;
mod process_access;
mod prototype_access;
mod string_timer;
mod with_statement;

pub use node_module::{BUILTINS as NODE_MODULES, is_builtin as is_node_module};

use crate::{
    diagnostic::{Finding, Severity},
    scope::{Scope, property_name},
};
use rustc_hash::{FxHashMap, FxHashSet};
use std::cell::{OnceCell, RefCell};
use swc_common::{Span, Spanned};
use swc_ecma_ast::{
    BinExpr, BinaryOp, CallExpr, Decl, Expr, Id, Ident, MemberExpr, MemberProp, MetaPropExpr, ModuleDecl,
    ObjectPatProp, Pat, Program, Prop, SimpleAssignTarget, Stmt, TsModuleRef, UnaryExpr, UnaryOp,
};
use swc_ecma_visit::{Visit, VisitWith, noop_visit_type};

/// Lint rule.
pub(super) struct Rule {
    /// Stable name, to which authors and tools refer.
    name: &'static str,
    check: Check,
}

/// Kind of node that a rule examines, with its check.
enum Check {
    /// Reference to a global, by name or as a property of `globalThis`.
    Global(fn(&Global<'_>, &Context<'_>) -> Option<Problem>),
    Member(fn(&MemberExpr, &Context<'_>) -> Option<Problem>),
    Call(fn(&CallExpr, &Context<'_>) -> Option<Problem>),
    MetaProperty(fn(&MetaPropExpr) -> Option<Problem>),
    Statement(fn(&Stmt, &Context<'_>) -> Option<Problem>),
    /// Property read by destructuring.
    Destructured(fn(&str, Span) -> Option<Problem>),
    Declaration(fn(&ModuleDecl, &Context<'_>) -> Option<Problem>),
}

struct Global<'a> {
    name: &'a str,
    span: Span,
    /// Referenced as a property of `globalThis`, which is `undefined` if the global is missing.
    is_property: bool,
}

/// Finding of a rule, before the rule's name is added.
struct Problem {
    severity: Severity,
    span: Span,
    message: String,
}

impl Problem {
    fn error(span: Span, message: impl Into<String>) -> Self {
        Self { severity: Severity::Error, span, message: message.into() }
    }

    fn warning(span: Span, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, span, message: message.into() }
    }
}

const RULES: &[Rule] = &[
    code_from_string::GLOBALS,
    code_from_string::MEMBERS,
    code_from_string::CALLS,
    endless_loop::RULE,
    missing_global::RULE,
    module_system::DECLARATIONS,
    module_system::GLOBALS,
    module_system::CALLS,
    module_system::META_PROPERTIES,
    node_module::DECLARATIONS,
    node_module::CALLS,
    process_access::RULE,
    prototype_access::MEMBERS,
    prototype_access::DESTRUCTURED,
    string_timer::RULE,
    with_statement::RULE,
];

/// Facts about the whole text for the rules.
struct Context<'a> {
    scope: Scope<'a>,
    text: &'a str,
    program: &'a Program,
    /// Computed on first use: most texts contain nothing for which a rule needs it.
    identifiers: OnceCell<Identifiers>,
    /// Cached results of [`Context::has_typeof_guard`], by global. The rules know few globals, but a text may use one
    /// of them at every node.
    typeof_guards: RefCell<FxHashMap<String, bool>>,
}

impl Context<'_> {
    /// Returns whether the text tests the global with `typeof`.
    fn has_typeof_guard(&self, global: &str) -> bool {
        let mut typeof_guards = self.typeof_guards.borrow_mut();
        if let Some(answer) = typeof_guards.get(global) {
            return *answer;
        }
        let answer = self
            .text
            .match_indices("typeof ")
            .any(|(at, found)| self.text[at + found.len()..].trim_start().starts_with(global));
        typeof_guards.insert(global.to_owned(), answer);
        answer
    }

    fn global_name<'e>(&self, expression: &'e Expr) -> Option<&'e str> {
        self.scope.global_name(expression)
    }

    fn identifiers(&self) -> &Identifiers {
        self.identifiers.get_or_init(|| {
            let mut identifiers = Identifiers::default();
            self.program.visit_with(&mut identifiers);
            identifiers
        })
    }
}

/// Runs every rule over a resolved program.
pub(super) fn check(program: &Program, scope: Scope<'_>, text: &str) -> Vec<Finding> {
    let context =
        Context { scope, text, program, identifiers: OnceCell::new(), typeof_guards: RefCell::default() };
    let mut lint = Lint { context, findings: vec![] };
    program.visit_with(&mut lint);
    lint.findings
}

#[derive(Default)]
struct Identifiers {
    /// Declared functions and classes.
    callables: FxHashSet<Id>,
    /// Variables that are read. An import of any other name is an import of types and is removed.
    read: FxHashSet<Id>,
}

impl Visit for Identifiers {
    noop_visit_type!();

    fn visit_decl(&mut self, declaration: &Decl) {
        match declaration {
            Decl::Fn(function) => {
                self.callables.insert(function.ident.to_id());
            }
            Decl::Class(class) => {
                self.callables.insert(class.ident.to_id());
            }
            Decl::Var(variables) => {
                for declarator in &variables.decls {
                    if let (Pat::Ident(ident), Some(Expr::Fn(_) | Expr::Arrow(_) | Expr::Class(_))) =
                        (&declarator.name, declarator.init.as_deref())
                    {
                        self.callables.insert(ident.to_id());
                    }
                }
            }
            _ => {}
        }
        declaration.visit_children_with(self);
    }

    fn visit_expr(&mut self, expression: &Expr) {
        if let Expr::Ident(ident) = expression {
            self.read.insert(ident.to_id());
        }
        expression.visit_children_with(self);
    }

    fn visit_prop(&mut self, property: &Prop) {
        if let Prop::Shorthand(ident) = property {
            self.read.insert(ident.to_id());
        }
        property.visit_children_with(self);
    }
}

struct Lint<'a> {
    context: Context<'a>,
    findings: Vec<Finding>,
}

impl Lint<'_> {
    fn run(&mut self, apply: impl Fn(&Check, &Context<'_>) -> Option<Problem>) {
        for rule in RULES {
            if let Some(Problem { severity, span, message }) = apply(&rule.check, &self.context) {
                self.findings.push(Finding { rule: rule.name, severity, message, span });
            }
        }
    }

    fn global(&mut self, global: &Global<'_>) {
        self.run(|check, context| match check {
            Check::Global(check) => check(global, context),
            _ => None,
        });
    }

    fn identifier(&mut self, ident: &Ident) {
        if self.context.scope.is_global(ident) {
            self.global(&Global { name: &ident.sym, span: ident.span, is_property: false });
        }
    }

    fn member(&mut self, member: &MemberExpr) {
        if let Some(name) = self.context.scope.global_property(member) {
            self.global(&Global { name, span: member.span, is_property: true });
        }
        self.run(|check, context| match check {
            Check::Member(check) => check(member, context),
            _ => None,
        });
    }
}

impl Visit for Lint<'_> {
    noop_visit_type!();

    fn visit_expr(&mut self, expression: &Expr) {
        match expression {
            Expr::Ident(ident) => self.identifier(ident),
            Expr::Member(member) => self.member(member),
            Expr::Call(call) => self.run(|check, context| match check {
                Check::Call(check) => check(call, context),
                _ => None,
            }),
            Expr::MetaProp(property) => self.run(|check, _| match check {
                Check::MetaProperty(check) => check(property),
                _ => None,
            }),
            // The parts that rules examine are child nodes of these.
            _ => {}
        }
        expression.visit_children_with(self);
    }

    fn visit_stmt(&mut self, statement: &Stmt) {
        self.run(|check, context| match check {
            Check::Statement(check) => check(statement, context),
            _ => None,
        });
        statement.visit_children_with(self);
    }

    fn visit_module_decl(&mut self, declaration: &ModuleDecl) {
        self.run(|check, context| match check {
            Check::Declaration(check) => check(declaration, context),
            _ => None,
        });
        declaration.visit_children_with(self);
    }

    fn visit_object_pat_prop(&mut self, property: &ObjectPatProp) {
        let (name, span) = match property {
            ObjectPatProp::KeyValue(property) => (property_name(&property.key), property.key.span()),
            ObjectPatProp::Assign(property) => (Some(&*property.key.sym), property.key.span),
            ObjectPatProp::Rest(_) => (None, property.span()),
        };
        if let Some(name) = name {
            self.run(|check, _| match check {
                Check::Destructured(check) => check(name, span),
                _ => None,
            });
        }
        property.visit_children_with(self);
    }

    fn visit_prop(&mut self, property: &Prop) {
        if let Prop::Shorthand(ident) = property {
            self.identifier(ident);
        }
        property.visit_children_with(self);
    }

    fn visit_simple_assign_target(&mut self, target: &SimpleAssignTarget) {
        match target {
            SimpleAssignTarget::Ident(ident) => self.identifier(ident),
            SimpleAssignTarget::Member(member) => self.member(member),
            _ => {}
        }
        target.visit_children_with(self);
    }

    /// Skips `typeof name`, which tests whether a global exists.
    fn visit_unary_expr(&mut self, unary: &UnaryExpr) {
        if unary.op != UnaryOp::TypeOf || !unary.arg.is_ident() {
            unary.visit_children_with(self);
        }
    }

    /// Skips the right side of `value instanceof Function`, which compiles no code.
    fn visit_bin_expr(&mut self, binary: &BinExpr) {
        binary.left.visit_with(self);
        if binary.op != BinaryOp::InstanceOf || !binary.right.is_ident() {
            binary.right.visit_with(self);
        }
    }
}

/// Name of the property of a member expression, unless it is computed at run time.
fn member_name(property: &MemberProp) -> Option<&str> {
    match property {
        MemberProp::Ident(name) => Some(&name.sym),
        MemberProp::Computed(key) => crate::scope::literal_text(&key.expr),
        MemberProp::PrivateName(_) => None,
    }
}

/// Module that a declaration loads at run time, with the span of its specifier.
fn imported_module<'d>(declaration: &'d ModuleDecl, context: &Context<'_>) -> Option<(&'d str, Span)> {
    use swc_ecma_ast::{ExportSpecifier, ImportSpecifier};
    let source = match declaration {
        ModuleDecl::Import(import) => {
            let needed = || {
                import.specifiers.is_empty()
                    || import.specifiers.iter().any(|specifier| match specifier {
                        ImportSpecifier::Named(named) => {
                            !named.is_type_only && context.identifiers().read.contains(&named.local.to_id())
                        }
                        other => context.identifiers().read.contains(&other.local().to_id()),
                    })
            };
            (!import.type_only && needed()).then_some(&import.src)?
        }
        ModuleDecl::ExportNamed(export) => {
            let needed = export.specifiers.iter().any(|specifier| match specifier {
                ExportSpecifier::Named(named) => !named.is_type_only,
                _ => true,
            });
            (needed && !export.type_only).then_some(export.src.as_ref())??
        }
        ModuleDecl::ExportAll(export) => (!export.type_only).then_some(&export.src)?,
        ModuleDecl::TsImportEquals(import) => match &import.module_ref {
            TsModuleRef::TsExternalModuleRef(module) if !import.is_type_only => {
                return Some((module.expr.value.as_str()?, module.expr.span));
            }
            _ => return None,
        },
        _ => return None,
    };
    Some((source.value.as_str()?, source.span))
}
