//! Rule `process-access`: Node's `process`.

use super::{Check, Context, Global, Problem, Rule};

/// `process-access`: Node's `process`.
///
/// Reason: scripts have no process to inspect or to end. Only a warning if the text tests `typeof process`.
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
    let severe = !global.is_property && !context.has_typeof_guard("process");
    let problem = if severe { Problem::error } else { Problem::warning };
    Some(problem(global.span, message.to_owned()))
}
