//! Rule `endless-loop`: loops without an exit.

use super::{Check, Context, Problem, Rule};
use swc_common::Span;
use swc_ecma_ast::{
    ArrowExpr, AwaitExpr, BreakStmt, Class, ContinueStmt, Expr, ForOfStmt, Function, Id, LabeledStmt, Lit,
    ReturnStmt, Stmt, ThrowStmt, UnaryOp, YieldExpr,
};
use swc_ecma_visit::{Visit, VisitWith, noop_visit_type};

/// `endless-loop`: a loop whose condition is a constant true value, without `break`, `return`, `throw` or `yield`.
///
/// Reason: the loop runs until the time limit or, with an `await` inside, until a `main` that does not wait for it
/// ends. A warning, because the time limit protects the system and the lint only informs.
///
/// ```js
/// while (true) { work(); }                          // warning
/// for (;;) { await sleep(1000); }                   // warning
/// while (true) { if (await done()) break; }         // fine
/// ```
pub(super) const RULE: Rule = Rule { name: "endless-loop", check: Check::Statement(check) };

fn check(statement: &Stmt, _: &Context<'_>) -> Option<Problem> {
    let mut labels = Vec::new();
    let mut inner = statement;
    while let Stmt::Labeled(LabeledStmt { label, body, .. }) = inner {
        labels.push(label.to_id());
        inner = body;
    }
    let (span, head, body) = match inner {
        Stmt::While(statement) if is_true(&statement.test) => {
            (statement.span, Some(&*statement.test), &*statement.body)
        }
        Stmt::DoWhile(statement) if is_true(&statement.test) => {
            (statement.span, Some(&*statement.test), &*statement.body)
        }
        Stmt::For(statement) if statement.test.as_deref().is_none_or(is_true) => {
            (statement.span, statement.update.as_deref(), &*statement.body)
        }
        _ => return None,
    };
    let mut exits =
        Exits { labels, loops: 0, breakable: 0, inner_labels: vec![], found: false, has_await: false };
    if let Some(head) = head {
        head.visit_with(&mut exits);
    }
    body.visit_with(&mut exits);
    let end = span.lo + swc_common::BytePos(keyword_length(inner));
    let span = Span::new(span.lo, end);
    match (exits.found, exits.has_await) {
        (true, _) => None,
        (false, true) => {
            Some(Problem::warning(span, "Nothing ends this loop: it waits and goes on until the run ends."))
        }
        (false, false) => Some(Problem::warning(
            span,
            "Nothing ends this loop: it has no `break`, `return` or `throw` and would run into the time limit.",
        )),
    }
}

const fn keyword_length(statement: &Stmt) -> u32 {
    match statement {
        Stmt::While(_) => 5,
        Stmt::DoWhile(_) => 2,
        _ => 3,
    }
}

/// Returns whether the expression is a constant with a true value.
fn is_true(expression: &Expr) -> bool {
    match crate::scope::unwrapped(expression) {
        Expr::Lit(Lit::Bool(value)) => value.value,
        Expr::Lit(Lit::Num(value)) => value.value != 0.0,
        Expr::Lit(Lit::Str(value)) => !value.value.is_empty(),
        Expr::Array(_) | Expr::Object(_) => true,
        Expr::Unary(unary) if unary.op == UnaryOp::Bang => match &*unary.arg {
            Expr::Lit(Lit::Num(value)) => value.value == 0.0,
            Expr::Lit(Lit::Bool(value)) => !value.value,
            _ => false,
        },
        _ => false,
    }
}

/// Search for an exit from one loop, within the loop's own function.
struct Exits {
    /// Labels of the loop.
    labels: Vec<Id>,
    /// Number of nested loops around the current node.
    loops: u32,
    /// Number of nested loops and switches around the current node.
    breakable: u32,
    /// Labels declared inside the loop.
    inner_labels: Vec<Id>,
    found: bool,
    has_await: bool,
}

impl Exits {
    fn nested(&mut self, is_loop: bool, visit: impl FnOnce(&mut Self)) {
        self.breakable += 1;
        self.loops += u32::from(is_loop);
        visit(self);
        self.loops -= u32::from(is_loop);
        self.breakable -= 1;
    }
}

impl Visit for Exits {
    noop_visit_type!();

    fn visit_stmt(&mut self, statement: &Stmt) {
        match statement {
            Stmt::While(_) | Stmt::DoWhile(_) | Stmt::For(_) | Stmt::ForIn(_) | Stmt::ForOf(_) => {
                self.nested(true, |exits| statement.visit_children_with(exits));
            }
            Stmt::Switch(_) => self.nested(false, |exits| statement.visit_children_with(exits)),
            _ => statement.visit_children_with(self),
        }
    }

    fn visit_labeled_stmt(&mut self, statement: &LabeledStmt) {
        self.inner_labels.push(statement.label.to_id());
        statement.body.visit_with(self);
        self.inner_labels.pop();
    }

    fn visit_break_stmt(&mut self, statement: &BreakStmt) {
        self.found |= match &statement.label {
            None => self.breakable == 0,
            // The loop's own label or an outer one. Labels inside the loop do not leave it.
            Some(label) => !self.inner_labels.contains(&label.to_id()),
        };
    }

    fn visit_continue_stmt(&mut self, statement: &ContinueStmt) {
        if let Some(label) = &statement.label {
            let label = label.to_id();
            self.found |= !self.inner_labels.contains(&label) && !self.labels.contains(&label);
        }
    }

    fn visit_return_stmt(&mut self, _: &ReturnStmt) {
        self.found = true;
    }

    fn visit_throw_stmt(&mut self, _: &ThrowStmt) {
        self.found = true;
    }

    fn visit_yield_expr(&mut self, _: &YieldExpr) {
        self.found = true;
    }

    fn visit_await_expr(&mut self, expression: &AwaitExpr) {
        self.has_await = true;
        expression.visit_children_with(self);
    }

    fn visit_for_of_stmt(&mut self, statement: &ForOfStmt) {
        self.has_await |= statement.is_await;
        statement.visit_children_with(self);
    }

    fn visit_function(&mut self, _: &Function) {}
    fn visit_arrow_expr(&mut self, _: &ArrowExpr) {}
    fn visit_class(&mut self, _: &Class) {}
}
