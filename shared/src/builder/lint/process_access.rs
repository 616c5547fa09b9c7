//! `process`.

use super::{Check, Context, Problem, Rule};
use swc_common::Spanned;
use swc_ecma_ast::Expr;

/// `process-access`: Node's `process`.
///
/// Reason: there is no process to see or to end. Where the text asks `typeof process` first, it is a warning.
///
/// ```js
/// const token = process.env.TOKEN;                  // error: use ENV.TOKEN
/// ```
pub(super) const RULE: Rule = Rule { name: "process-access", check: Check::Expression(check) };

fn check(expression: &Expr, context: &Context<'_>) -> Option<Problem> {
    if context.global_name(expression) != Some("process") {
        return None;
    }
    let message =
        "`process` is not available. Read environment variables from `ENV`; to end the run, return or throw.";
    // Of a property of `globalThis` that isn't there nothing but `undefined` comes.
    let severe = expression.is_ident() && !context.asks_for("process");
    let problem = if severe { Problem::error } else { Problem::warning };
    Some(problem(expression.span(), message.to_owned()))
}
