//! Check for `await` outside of a function, which a classic script does not support.

use crate::{diagnostic::Finding, rule};
use swc_common::Span;
use swc_ecma_ast::{ArrowExpr, AwaitExpr, Class, ForOfStmt, Function, Program, UsingDecl};
use swc_ecma_visit::{Visit, VisitWith, noop_visit_type};

/// Reports each `await` outside of a function.
pub(super) fn check(program: &Program) -> Vec<Finding> {
    let mut awaits = Awaits(vec![]);
    program.visit_with(&mut awaits);
    let message = "`await` works only inside a function: move this into `main`.";
    awaits.0.into_iter().map(|span| Finding::error(rule::TOP_LEVEL_AWAIT, span, message)).collect()
}

struct Awaits(Vec<Span>);

impl Visit for Awaits {
    noop_visit_type!();

    fn visit_await_expr(&mut self, expression: &AwaitExpr) {
        self.0.push(expression.span);
        expression.visit_children_with(self);
    }

    fn visit_for_of_stmt(&mut self, statement: &ForOfStmt) {
        if statement.is_await {
            self.0.push(statement.span);
        }
        statement.visit_children_with(self);
    }

    fn visit_using_decl(&mut self, declaration: &UsingDecl) {
        if declaration.is_await {
            self.0.push(declaration.span);
        }
        declaration.visit_children_with(self);
    }

    fn visit_function(&mut self, _: &Function) {}
    fn visit_arrow_expr(&mut self, _: &ArrowExpr) {}

    fn visit_class(&mut self, class: &Class) {
        // The superclass is evaluated outside of the class. Members are functions of their own.
        class.super_class.visit_with(self);
    }
}
