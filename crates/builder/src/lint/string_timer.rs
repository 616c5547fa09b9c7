//! Rule `string-timer`: timers with a string instead of a function.

use super::{Check, Context, Problem, Rule};
use crate::scope::unwrapped;
use swc_common::Spanned;
use swc_ecma_ast::{BinaryOp, CallExpr, Callee, Expr, Lit};

/// `string-timer`: `setTimeout` or `setInterval` with a string instead of a function.
///
/// Reason: timers accept functions only; code cannot be compiled from strings.
///
/// ```js
/// setTimeout("tick()", 100);                        // warning
/// setTimeout(() => tick(), 100);                    // fine
/// ```
pub(super) const RULE: Rule = Rule { name: "string-timer", check: Check::Call(check) };

fn check(call: &CallExpr, context: &Context<'_>) -> Option<Problem> {
    let Callee::Expr(callee) = &call.callee else { return None };
    let timer @ ("setTimeout" | "setInterval") = context.global_name(callee)? else { return None };
    let callback = call.args.first().filter(|argument| argument.spread.is_none())?;
    is_text(&callback.expr)
        .then(|| Problem::warning(callback.expr.span(), format!("`{timer}` takes a function, not text.")))
}

fn is_text(expression: &Expr) -> bool {
    match unwrapped(expression) {
        Expr::Lit(Lit::Str(_)) | Expr::Tpl(_) => true,
        Expr::Bin(binary) => binary.op == BinaryOp::Add && (is_text(&binary.left) || is_text(&binary.right)),
        _ => false,
    }
}
