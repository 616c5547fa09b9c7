//! Detection of the `Functions.*` that a text uses, directly or through aliases.
//!
//! Invariant: every name that a run can reach through syntax followed here is found. A use of `Functions` that cannot
//! be followed and a computed name give a finding, unless the author lists the names in a comment (`/* uses: a, b */`).
//! Therefore no function is missing at run time without a finding.
//!
//! `Functions` is followed through variables, parameters of the text's own functions, destructuring, and properties:
//! once it is stored under a property's name, every property of that name is assumed to hold it. `Functions` is such a
//! name from the start, which covers `env.Functions` and `{ Functions }` everywhere.

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

/// Name of the object.
const FUNCTIONS: &str = "Functions";
/// Maximum number of iterations. Each finds aliases of aliases, and real code has shorter chains.
const MAX_ITERATIONS: usize = 16;

#[derive(Default)]
pub(super) struct Detected {
    /// Names of the functions, with the span of the first use of each. A name from a comment has its span there.
    pub(super) names: BTreeMap<String, Span>,
    pub(super) findings: Vec<Finding>,
}

/// Finds the functions that a program uses. `text` and `base` serve to read the author's comments.
pub(super) fn function_uses(program: &Program, scope: Scope<'_>, text: &str, base: u32) -> Detected {
    let listed = uses_comment::names(text, base);
    let mut flow = flow::Flow::new(scope, symbols::Symbols::of(program));
    let mut iteration = flow.iterate(program);
    for _ in 1..MAX_ITERATIONS {
        if !iteration.grown {
            break;
        }
        iteration = flow.iterate(program);
    }
    if !iteration.converged {
        iteration = flow.iterate(program);
    }
    let mut detected = iteration.detected;
    if !listed.is_empty() {
        detected.findings.clear();
        for (name, span) in listed {
            detected.names.entry(name).or_insert(span);
        }
    }
    detected
}
