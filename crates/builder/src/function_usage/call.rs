//! Calls that `Functions` is an argument of.

use super::{
    flow::{Flow, Value},
    symbols::parameters,
};
use crate::scope::unwrapped;
use swc_atoms::Atom;
use swc_ecma_ast::{Expr, ExprOrSpread, MemberExpr, MemberProp, OptChainBase, Pat};

impl Flow<'_> {
    pub(super) fn call(&mut self, callee: &Expr, arguments: &[ExprOrSpread]) {
        if let Expr::Member(member) = unwrapped(callee)
            && self.scope.global_name(&member.obj) == Some("console")
        {
            for argument in arguments {
                self.follow(&argument.expr);
            }
        }
        for (index, argument) in arguments.iter().enumerate() {
            if argument.spread.is_some() {
                return;
            }
            // Most calls pass it nowhere.
            if self.is_functions(&argument.expr) && self.pass(callee, index) {
                self.mark(&argument.expr);
            }
        }
    }

    /// Binds the parameters that an argument goes to; true if that accounts for its use.
    fn pass(&mut self, callee: &Expr, index: usize) -> bool {
        let Some(name) = method_name(callee) else {
            let targets = match unwrapped(callee) {
                Expr::Ident(ident) => self.facts.functions.get(&ident.to_id()).cloned(),
                other => parameters(other),
            };
            return self.bind_argument(index, targets.as_slice());
        };
        // Targets are copies, and many calls may have the same many targets.
        if let Some(followed) = self.passed.get(&(name.clone(), index)) {
            return *followed;
        }
        let targets = self.facts.methods.get(name).cloned().unwrap_or_default();
        let followed = self.bind_argument(index, &targets);
        self.passed.insert((name.clone(), index), followed);
        followed
    }

    fn bind_argument(&mut self, index: usize, targets: &[Vec<Pat>]) -> bool {
        let mut followed = false;
        for patterns in targets {
            match patterns.get(index) {
                Some(Pat::Rest(_)) => {}
                Some(pattern) => {
                    followed = true;
                    self.bind(pattern, Value::Functions);
                }
                // A surplus argument is dropped.
                None => followed |= !matches!(patterns.last(), Some(Pat::Rest(_))),
            }
        }
        followed
    }
}

/// The name of the method that is called. Any method of that name in the text may be meant.
fn method_name(callee: &Expr) -> Option<&Atom> {
    let member = match unwrapped(callee) {
        Expr::Member(member) => member,
        Expr::OptChain(chain) => match &*chain.base {
            OptChainBase::Member(member) => member,
            OptChainBase::Call(_) => return None,
        },
        _ => return None,
    };
    match member {
        MemberExpr { prop: MemberProp::Ident(name), .. } => Some(&name.sym),
        _ => None,
    }
}
