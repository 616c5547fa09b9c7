//! What a script should not do, told with its line before it is tried. The lint helps the author; the isolate protects.
//!
//! Each rule is one file and one entry of [`RULES`]. A rule is an error only where the code can never work,
//! because an error refuses the save. The rest are warnings: the lint helps the author, the isolate protects.
//!
//! Invariant: rules look at one node each. One traversal shows every node to every rule that asks for its kind.

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

/// One rule.
pub(super) struct Rule {
    /// Stable: authors and tools refer to it.
    name: &'static str,
    check: Check,
}

/// Which nodes a rule looks at.
enum Check {
    /// A global that is named, alone or as a property of `globalThis`.
    Global(fn(&Global<'_>, &Context<'_>) -> Option<Problem>),
    Member(fn(&MemberExpr, &Context<'_>) -> Option<Problem>),
    Call(fn(&CallExpr, &Context<'_>) -> Option<Problem>),
    MetaProperty(fn(&MetaPropExpr) -> Option<Problem>),
    Statement(fn(&Stmt, &Context<'_>) -> Option<Problem>),
    /// A property that is taken out of a value by destructuring.
    Destructured(fn(&str, Span) -> Option<Problem>),
    Declaration(fn(&ModuleDecl, &Context<'_>) -> Option<Problem>),
}

struct Global<'a> {
    name: &'a str,
    span: Span,
    /// As a property of `globalThis`, which is `undefined` where the global is not there.
    is_property: bool,
}

/// What a rule found.
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

/// What rules may ask about the whole text.
struct Context<'a> {
    scope: Scope<'a>,
    text: &'a str,
    program: &'a Program,
    /// Few texts hold anything that a rule needs them for.
    facts: OnceCell<Facts>,
    /// Answers of [`Context::asks_for`], by global. The rules know few globals, a text may name one at every turn.
    asked: RefCell<FxHashMap<String, bool>>,
}

impl Context<'_> {
    /// The text asks whether the global is there before it uses it.
    fn asks_for(&self, global: &str) -> bool {
        let mut asked = self.asked.borrow_mut();
        if let Some(answer) = asked.get(global) {
            return *answer;
        }
        let answer = self
            .text
            .match_indices("typeof ")
            .any(|(at, found)| self.text[at + found.len()..].trim_start().starts_with(global));
        asked.insert(global.to_owned(), answer);
        answer
    }

    fn global_name<'e>(&self, expression: &'e Expr) -> Option<&'e str> {
        self.scope.global_name(expression)
    }

    fn facts(&self) -> &Facts {
        self.facts.get_or_init(|| {
            let mut facts = Facts::default();
            self.program.visit_with(&mut facts);
            facts
        })
    }
}

/// Runs every rule over a resolved program.
pub(super) fn check(program: &Program, scope: Scope<'_>, text: &str) -> Vec<Finding> {
    let context = Context { scope, text, program, facts: OnceCell::new(), asked: RefCell::default() };
    let mut lint = Lint { context, findings: vec![] };
    program.visit_with(&mut lint);
    lint.findings
}

#[derive(Default)]
struct Facts {
    /// Functions and classes that the text declares.
    callables: FxHashSet<Id>,
    /// Variables that are read: an import of anything else is about types and vanishes.
    read: FxHashSet<Id>,
}

impl Visit for Facts {
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
            // What a rule may look at inside of these is a node of its own.
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

    /// `typeof name` is how a text asks whether a global is there.
    fn visit_unary_expr(&mut self, unary: &UnaryExpr) {
        if unary.op != UnaryOp::TypeOf || !unary.arg.is_ident() {
            unary.visit_children_with(self);
        }
    }

    /// `value instanceof Function` makes no code.
    fn visit_bin_expr(&mut self, binary: &BinExpr) {
        binary.left.visit_with(self);
        if binary.op != BinaryOp::InstanceOf || !binary.right.is_ident() {
            binary.right.visit_with(self);
        }
    }
}

/// The name of the property a member expression takes, unless it is computed at run time.
fn member_name(property: &MemberProp) -> Option<&str> {
    match property {
        MemberProp::Ident(name) => Some(&name.sym),
        MemberProp::Computed(key) => crate::scope::literal_text(&key.expr),
        MemberProp::PrivateName(_) => None,
    }
}

/// The module a declaration asks for at run time, with the place of its name.
fn imported_module<'d>(declaration: &'d ModuleDecl, context: &Context<'_>) -> Option<(&'d str, Span)> {
    use swc_ecma_ast::{ExportSpecifier, ImportSpecifier};
    let source = match declaration {
        ModuleDecl::Import(import) => {
            let needed = || {
                import.specifiers.is_empty()
                    || import.specifiers.iter().any(|specifier| match specifier {
                        ImportSpecifier::Named(named) => {
                            !named.is_type_only && context.facts().read.contains(&named.local.to_id())
                        }
                        other => context.facts().read.contains(&other.local().to_id()),
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
