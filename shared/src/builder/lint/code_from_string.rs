//! Code made of text.

use super::super::scope::unwrapped;
use super::{Check, Context, Problem, Rule, member_name};
use swc_ecma_ast::{Callee, Expr, MemberExpr};

/// `code-from-string`: `eval`, the `Function` constructors, and the ways to reach them through `.constructor`.
///
/// Reason: the isolate makes no code from strings, so this always throws.
///
/// ```js
/// new Function("return 1")();                       // warning
/// [].filter.constructor("return process")();        // warning
/// value instanceof Function;                        // fine
/// ```
pub(super) const RULE: Rule = Rule { name: "code-from-string", check: Check::Expression(check) };

fn check(expression: &Expr, context: &Context<'_>) -> Option<Problem> {
    match expression {
        Expr::Ident(ident) if context.scope.is_global(ident) => named(&ident.sym, expression),
        Expr::Member(member) => match context.global_name(expression) {
            Some(name) => named(name, expression),
            None => reached(member, context),
        },
        Expr::Call(call) => match &call.callee {
            // A constructor that is called without `new`, with text, makes code.
            Callee::Expr(callee) => match unwrapped(callee) {
                Expr::Member(member)
                    if member_name(&member.prop) == Some("constructor") && call.args.iter().any(is_text) =>
                {
                    Some(problem(member))
                }
                _ => None,
            },
            _ => None,
        },
        _ => None,
    }
}

fn named(name: &str, expression: &Expr) -> Option<Problem> {
    use swc_common::Spanned;
    match name {
        "eval" => Some(Problem::warning(
            expression.span(),
            "`eval` is not available: code can't be made from text. For data, use `JSON.parse`.",
        )),
        "Function" => Some(Problem::warning(
            expression.span(),
            "`Function` is not available: code can't be made from text. Write the function itself.",
        )),
        _ => None,
    }
}

fn reached(member: &MemberExpr, context: &Context<'_>) -> Option<Problem> {
    reaches(member, context).then(|| problem(member))
}

/// Whether this is the `.constructor` of something that is a function for sure: a constructor of functions.
pub(super) fn reaches(member: &MemberExpr, context: &Context<'_>) -> bool {
    member_name(&member.prop) == Some("constructor")
        && match unwrapped(&member.obj) {
            Expr::Fn(_) | Expr::Arrow(_) => true,
            Expr::Member(inner) => member_name(&inner.prop) == Some("constructor"),
            Expr::Ident(ident) => context.callables.contains(&ident.to_id()),
            _ => false,
        }
}

fn problem(member: &MemberExpr) -> Problem {
    Problem::warning(member.span, "This reaches a constructor of functions: code can't be made from text.")
}

fn is_text(argument: &swc_ecma_ast::ExprOrSpread) -> bool {
    matches!(unwrapped(&argument.expr), Expr::Lit(swc_ecma_ast::Lit::Str(_)) | Expr::Tpl(_))
}
