//! Calls with `Functions` as an argument.

use super::{
    flow::{AbstractValue, Flow},
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
            // Most calls do not pass `Functions`.
            if self.is_functions(&argument.expr) && self.bind_to_parameter(callee, index) {
                self.mark_followed(&argument.expr);
            }
        }
    }

    /// Binds the parameters that receive an argument. Returns whether this accounts for the use of the argument.
    fn bind_to_parameter(&mut self, callee: &Expr, index: usize) -> bool {
        let Some(name) = method_name(callee) else {
            let targets = match unwrapped(callee) {
                Expr::Ident(ident) => self.symbols.functions.get(&ident.to_id()).cloned(),
                other => parameters(other),
            };
            return self.bind_argument(index, targets.as_slice());
        };
        // Cached, because targets are copies and many calls may share many targets.
        if let Some(followed) = self.bound_arguments.get(&(name.clone(), index)) {
            return *followed;
        }
        let targets = self.symbols.methods.get(name).cloned().unwrap_or_default();
        let followed = self.bind_argument(index, &targets);
        self.bound_arguments.insert((name.clone(), index), followed);
        followed
    }

    fn bind_argument(&mut self, index: usize, targets: &[Vec<Pat>]) -> bool {
        let mut followed = false;
        for patterns in targets {
            match patterns.get(index) {
                Some(Pat::Rest(_)) => {}
                Some(pattern) => {
                    followed = true;
                    self.bind(pattern, AbstractValue::Functions);
                }
                // A surplus argument is ignored by the callee.
                None => followed |= !matches!(patterns.last(), Some(Pat::Rest(_))),
            }
        }
        followed
    }
}

/// Name of the called method. Any method of that name in the text may be the callee.
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
