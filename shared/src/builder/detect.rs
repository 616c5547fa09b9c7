//! Which `Functions.*` a text uses.

use super::diagnostic::Finding;
use std::collections::BTreeSet;
use swc_common::Mark;
use swc_ecma_ast::{Expr, MemberExpr, MemberProp, Program};
use swc_ecma_visit::{Visit, VisitWith, noop_visit_type};

#[derive(Default)]
pub(super) struct Detected {
    pub(super) names: BTreeSet<String>,
    pub(super) findings: Vec<Finding>,
}

pub(super) fn function_calls(program: &Program, unresolved: Mark, outer_names: &[String]) -> Detected {
    let _ = (unresolved, outer_names);
    let mut calls = Calls(Detected::default());
    program.visit_with(&mut calls);
    calls.0
}

struct Calls(Detected);

impl Visit for Calls {
    noop_visit_type!();
    fn visit_member_expr(&mut self, member: &MemberExpr) {
        member.visit_children_with(self);
        if matches!(&*member.obj, Expr::Ident(object) if &*object.sym == "Functions")
            && let MemberProp::Ident(name) = &member.prop
        {
            self.0.names.insert(name.sym.to_string());
        }
    }
}
