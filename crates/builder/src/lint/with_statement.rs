//! Rule `with-statement`: `with` blocks.

use super::{Check, Context, Problem, Rule};
use swc_ecma_ast::Stmt;

/// `with-statement`: a `with` block.
///
/// Reason: inside the block, names cannot be told from properties, so `Functions` could not be followed.
///
/// ```js
/// with (Functions) { sendEmail({}); }               // error
/// ```
pub(super) const RULE: Rule = Rule { name: "with-statement", check: Check::Statement(check) };

fn check(statement: &Stmt, _: &Context<'_>) -> Option<Problem> {
    let Stmt::With(with) = statement else { return None };
    let span = with.span.with_hi(with.span.lo + swc_common::BytePos(4));
    Some(Problem::error(
        span,
        "`with` is not supported: which names it changes can't be known before the run.",
    ))
}
