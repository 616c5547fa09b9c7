//! Rule `code-from-string`: code compiled from strings.

use super::{Check, Context, Global, Problem, Rule, member_name};
use crate::scope::unwrapped;
use swc_ecma_ast::{CallExpr, Callee, Expr, MemberExpr};

const NAME: &str = "code-from-string";

/// `code-from-string`: `eval` and the `Function` constructor.
///
/// Reason: the isolate compiles no code from strings, so this always throws.
///
/// ```js
/// new Function("return 1")();                       // warning
/// value instanceof Function;                        // fine
/// ```
pub(super) const GLOBALS: Rule = Rule { name: NAME, check: Check::Global(global) };

/// `code-from-string`: function constructors reached through `.constructor`.
///
/// ```js
/// (() => {}).constructor;                           // warning
/// ```
pub(super) const MEMBERS: Rule = Rule { name: NAME, check: Check::Member(member) };

/// `code-from-string`: a `.constructor` called without `new` and with a string.
///
/// ```js
/// [].filter.constructor("return process")();        // warning
/// ```
pub(super) const CALLS: Rule = Rule { name: NAME, check: Check::Call(call) };

fn global(global: &Global<'_>, _: &Context<'_>) -> Option<Problem> {
    match global.name {
        "eval" => Some(Problem::warning(
            global.span,
            "`eval` is not available: code can't be made from text. For data, use `JSON.parse`.",
        )),
        "Function" => Some(Problem::warning(
            global.span,
            "`Function` is not available: code can't be made from text. Write the function itself.",
        )),
        _ => None,
    }
}

fn member(member: &MemberExpr, context: &Context<'_>) -> Option<Problem> {
    (reaches(member, context) && context.scope.global_property(member).is_none()).then(|| problem(member))
}

fn call(call: &CallExpr, _: &Context<'_>) -> Option<Problem> {
    let Callee::Expr(callee) = &call.callee else { return None };
    match unwrapped(callee) {
        Expr::Member(member)
            if member_name(&member.prop) == Some("constructor") && call.args.iter().any(is_text) =>
        {
            Some(problem(member))
        }
        _ => None,
    }
}

/// Returns whether the member is the `.constructor` of an expression known to be a function.
pub(super) fn reaches(member: &MemberExpr, context: &Context<'_>) -> bool {
    member_name(&member.prop) == Some("constructor")
        && match unwrapped(&member.obj) {
            Expr::Fn(_) | Expr::Arrow(_) => true,
            Expr::Member(inner) => member_name(&inner.prop) == Some("constructor"),
            Expr::Ident(ident) => context.identifiers().callables.contains(&ident.to_id()),
            _ => false,
        }
}

fn problem(member: &MemberExpr) -> Problem {
    Problem::warning(member.span, "This reaches a constructor of functions: code can't be made from text.")
}

fn is_text(argument: &swc_ecma_ast::ExprOrSpread) -> bool {
    matches!(unwrapped(&argument.expr), Expr::Lit(swc_ecma_ast::Lit::Str(_)) | Expr::Tpl(_))
}
