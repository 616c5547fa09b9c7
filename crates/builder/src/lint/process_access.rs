//! `process`.

use super::{Check, Context, Global, Problem, Rule};

/// `process-access`: Node's `process`.
///
/// Reason: there is no process to see or to end. Where the text asks `typeof process` first, it is a warning.
///
/// ```js
/// const token = process.env.TOKEN;                  // error: use ENV.TOKEN
/// ```
pub(super) const RULE: Rule = Rule { name: "process-access", check: Check::Global(check) };

fn check(global: &Global<'_>, context: &Context<'_>) -> Option<Problem> {
    if global.name != "process" {
        return None;
    }
    let message =
        "`process` is not available. Read environment variables from `ENV`; to end the run, return or throw.";
    let severe = !global.is_property && !context.asks_for("process");
    let problem = if severe { Problem::error } else { Problem::warning };
    Some(problem(global.span, message.to_owned()))
}
