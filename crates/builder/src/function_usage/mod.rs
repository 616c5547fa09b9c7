//! Which `Functions.*` a text uses, in whatever way it gets hold of them.
//!
//! Invariant: a name that a run can reach by syntax followed here is found; where `Functions` goes somewhere that
//! can't be followed, or a name is computed, there is a finding, unless the author lists the names in a comment
//! (`/* uses: a, b */`). Nothing silently lacks at run time.
//!
//! `Functions` is followed through variables, parameters of the text's own functions, destructuring, and properties:
//! once it is stored under a property's name, every property of that name is taken for it. `Functions` is such a
//! name from the start, which covers `env.Functions` and `{ Functions }` wherever they are.

mod bind;
mod call;
mod flow;
mod symbols;
mod uses_comment;
mod visit;

use crate::{diagnostic::Finding, scope::Scope};
use std::collections::BTreeMap;
use swc_common::Span;
use swc_ecma_ast::Program;

/// The name of the object.
const FUNCTIONS: &str = "Functions";
/// Every turn finds aliases of aliases; people don't write longer chains.
const TURNS: usize = 16;

#[derive(Default)]
pub(super) struct Detected {
    /// The functions, and where each is used first; a name from a comment has the place of the comment.
    pub(super) names: BTreeMap<String, Span>,
    pub(super) findings: Vec<Finding>,
}

/// Finds the functions a program uses. `text` and `base` are for the author's comments.
pub(super) fn function_uses(program: &Program, scope: Scope<'_>, text: &str, base: u32) -> Detected {
    let listed = uses_comment::names(text, base);
    let mut flow = flow::Flow::new(scope, symbols::Facts::of(program));
    let mut turn = flow.turn(program);
    for _ in 1..TURNS {
        if !turn.grown {
            break;
        }
        turn = flow.turn(program);
    }
    if !turn.settled {
        turn = flow.turn(program);
    }
    let mut detected = turn.detected;
    if !listed.is_empty() {
        detected.findings.clear();
        for (name, span) in listed {
            detected.names.entry(name).or_insert(span);
        }
    }
    detected
}
