//! Rule `prototype-access`: prototypes and constructors of values.

use super::{Check, Context, Problem, Rule, code_from_string, member_name};
use crate::scope::unwrapped;
use swc_common::Span;
use swc_ecma_ast::{Expr, MemberExpr};

const NAME: &str = "prototype-access";

/// `prototype-access`: `.__proto__`, `.prototype` or `.constructor` of a value.
///
/// Reason: through these properties scripts reach beyond the object they were given. All are warnings: some have
/// legitimate uses, and the isolate protects. Not reported: `prototype` of a global
/// (`Object.prototype.hasOwnProperty`) or of a class or function of the text, `this.constructor` (a class's static
/// members), and a class's `constructor` method.
///
/// ```js
/// event.__proto__.admin = true;                     // warning
/// value.constructor.name;                           // warning
/// class A { constructor() {} }                      // fine
/// ```
pub(super) const MEMBERS: Rule = Rule { name: NAME, check: Check::Member(check) };

/// `prototype-access`: the same, by destructuring: `const { constructor } = value`.
pub(super) const DESTRUCTURED: Rule = Rule { name: NAME, check: Check::Destructured(destructured) };

fn check(member: &MemberExpr, context: &Context<'_>) -> Option<Problem> {
    match member_name(&member.prop)? {
        "__proto__" => Some(proto(span(member))),
        "prototype" if !has_prototype(&member.obj, context) => Some(Problem::warning(
            span(member),
            "`.prototype` is reached on a value. To test a value, use `instanceof` or `typeof`.",
        )),
        // A function constructor is reported by `code-from-string`.
        "constructor" if !unwrapped(&member.obj).is_this() && !code_from_string::reaches(member, context) => {
            Some(constructor(span(member)))
        }
        _ => None,
    }
}

fn destructured(name: &str, span: Span) -> Option<Problem> {
    match name {
        "__proto__" => Some(proto(span)),
        "constructor" => Some(constructor(span)),
        _ => None,
    }
}

fn proto(span: Span) -> Problem {
    Problem::warning(
        span,
        "`__proto__` is forbidden. To make an object without a prototype, use `Object.create(null)`.",
    )
}

fn constructor(span: Span) -> Problem {
    Problem::warning(
        span,
        "`.constructor` is reached on a value. To test a value, use `instanceof` or `typeof`.",
    )
}

/// Span of the property.
fn span(member: &MemberExpr) -> Span {
    use swc_common::Spanned;
    member.prop.span()
}

/// Returns whether the object is a global, or a function or class that the text declares.
fn has_prototype(object: &Expr, context: &Context<'_>) -> bool {
    match unwrapped(object) {
        Expr::Ident(ident) => {
            context.scope.is_global(ident) || context.identifiers().callables.contains(&ident.to_id())
        }
        object => context.global_name(object).is_some(),
    }
}
