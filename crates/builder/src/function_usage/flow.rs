//! Data-flow analysis that follows `Functions` through a program, one visit per iteration, until no new alias is found.
//! The report of the last iteration counts.

use super::{Detected, FUNCTIONS, symbols::Symbols};
use crate::{
    diagnostic::Finding,
    scope::{Scope, unwrapped},
};
use rustc_hash::{FxHashMap, FxHashSet};
use swc_atoms::Atom;
use swc_common::{Span, Spanned};
use swc_ecma_ast::{BinaryOp, Expr, Id, Ident, MemberExpr, MemberProp, OptChainBase, PrivateName, Program};
use swc_ecma_visit::VisitWith;

/// Name of the rule for computed function names.
const COMPUTED: &str = "functions-computed";
/// Name of the rule for uses of `Functions` as a value that cannot be followed.
const ESCAPE: &str = "functions-escape";

/// Abstract value that a pattern is bound to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum AbstractValue {
    Functions,
    /// May be the environment.
    Unknown,
    /// Certainly neither `Functions` nor an object that holds it.
    Unrelated,
}

/// Result of one visit.
pub(super) struct Iteration {
    pub(super) detected: Detected,
    /// The number of known aliases changed.
    pub(super) grown: bool,
    /// Set if no known fact changed.
    pub(super) converged: bool,
}

pub(super) struct Flow<'a> {
    pub(super) scope: Scope<'a>,
    pub(super) symbols: Symbols,
    pub(super) variables: FxHashSet<Id>,
    pub(super) fields: FxHashSet<Atom>,
    /// Arguments of methods that were bound in this iteration, by the method's name and the argument's index. The value
    /// tells whether all uses of the argument are followed.
    pub(super) bound_arguments: FxHashMap<(Atom, usize), bool>,
    /// Spans of expressions that are `Functions` and whose use is accounted for.
    pub(super) followed: FxHashSet<Span>,
    /// Number of times `Functions` was stored in an object.
    pub(super) stores: usize,
    /// Set if a variable that was known to be unrelated turned out to be a possible alias in this iteration.
    invalidated: bool,
    /// Findings and names of this iteration.
    report: Detected,
    /// Uses that become findings unless they are followed by the end of the iteration.
    escapes: Vec<Span>,
}

impl<'a> Flow<'a> {
    pub(super) fn new(scope: Scope<'a>, symbols: Symbols) -> Self {
        Self {
            scope,
            symbols,
            variables: FxHashSet::default(),
            fields: FxHashSet::from_iter([FUNCTIONS.into()]),
            bound_arguments: FxHashMap::default(),
            followed: FxHashSet::default(),
            stores: 0,
            invalidated: false,
            report: Detected::default(),
            escapes: vec![],
        }
    }

    /// Visits the program once. The report is final if `converged`: another iteration would give the same.
    pub(super) fn iterate(&mut self, program: &Program) -> Iteration {
        let before = self.aliases();
        self.invalidated = false;
        self.report = Detected::default();
        self.escapes.clear();
        self.bound_arguments.clear();
        program.visit_with(self);
        for span in std::mem::take(&mut self.escapes) {
            if !self.followed.contains(&span) {
                self.escape(span);
            }
        }
        let grown = self.aliases() != before;
        Iteration {
            detected: std::mem::take(&mut self.report),
            grown,
            converged: !grown && !self.invalidated,
        }
    }

    /// Numbers of known aliases and of values known to be unrelated. If an iteration leaves them unchanged, the next
    /// one would, too.
    fn aliases(&self) -> (usize, usize, usize) {
        (self.variables.len(), self.fields.len(), self.symbols.unrelated.len())
    }

    pub(super) fn mark_unrelated(&mut self, ident: &Ident) {
        self.symbols.unrelated.insert(ident.to_id());
    }

    pub(super) fn unmark_unrelated(&mut self, ident: &Ident) {
        self.invalidated |= self.symbols.unrelated.remove(&ident.to_id());
    }

    /// Records a use of `Functions` that is not accounted for yet.
    pub(super) fn record_escape(&mut self, span: Span) {
        self.escapes.push(span);
    }

    /// Returns whether the expression is, or may be, the `Functions` object.
    pub(super) fn is_functions(&self, expression: &Expr) -> bool {
        match unwrapped(expression) {
            Expr::Ident(ident) => self.is_alias(ident),
            Expr::Member(member) => self.is_field(member),
            Expr::OptChain(chain) => match &*chain.base {
                OptChainBase::Member(member) => self.is_field(member),
                OptChainBase::Call(_) => false,
            },
            Expr::Seq(sequence) => sequence.exprs.last().is_some_and(|last| self.is_functions(last)),
            Expr::Cond(conditional) => {
                self.is_functions(&conditional.cons) || self.is_functions(&conditional.alt)
            }
            Expr::Bin(binary) if is_choice(binary.op) => {
                self.is_functions(&binary.left) || self.is_functions(&binary.right)
            }
            Expr::Assign(assign) => self.is_functions(&assign.right),
            Expr::Await(awaited) => self.is_functions(&awaited.arg),
            _ => false,
        }
    }

    pub(super) fn is_alias(&self, ident: &Ident) -> bool {
        (&*ident.sym == FUNCTIONS && self.scope.is_global(ident))
            || (!self.variables.is_empty() && self.variables.contains(&ident.to_id()))
    }

    fn is_field(&self, member: &MemberExpr) -> bool {
        let known = match &member.prop {
            MemberProp::Ident(name) => self.is_field_name(&name.sym),
            MemberProp::PrivateName(name) => self.fields.contains(&private_field(name)),
            MemberProp::Computed(key) => match self.symbols.texts(&key.expr).as_deref() {
                Some([name]) => self.fields.contains(&Atom::from(name.as_str())),
                _ => false,
            },
        };
        known && !self.is_unrelated(&member.obj)
    }

    /// Returns whether properties of this name hold `Functions`. Nearly every text stores it only under its own name,
    /// so the set is rarely searched.
    fn is_field_name(&self, name: &Atom) -> bool {
        **name == *FUNCTIONS || (self.fields.len() > 1 && self.fields.contains(name))
    }

    /// Returns whether the expression is part of a value that is not the environment.
    pub(super) fn is_unrelated(&self, expression: &Expr) -> bool {
        match unwrapped(expression) {
            Expr::Ident(ident) => {
                self.symbols.unrelated.contains(&ident.to_id())
                    || (matches!(&*ident.sym, "input" | "event" | "context")
                        && ident.ctxt == self.scope.unresolved
                        && !self.scope.is_global(ident))
            }
            Expr::Member(member) => self.is_unrelated(&member.obj),
            Expr::OptChain(chain) => match &*chain.base {
                OptChainBase::Member(member) => self.is_unrelated(&member.obj),
                OptChainBase::Call(_) => false,
            },
            _ => false,
        }
    }

    pub(super) fn value_of(&self, expression: &Expr) -> AbstractValue {
        if self.is_functions(expression) {
            AbstractValue::Functions
        } else if self.is_unrelated(expression) {
            AbstractValue::Unrelated
        } else {
            AbstractValue::Unknown
        }
    }

    /// Returns whether the expression is `Functions`, and marks its use as followed if so.
    pub(super) fn follow(&mut self, expression: &Expr) -> bool {
        let found = self.is_functions(expression);
        if found {
            self.mark_followed(expression);
        }
        found
    }

    /// Marks the expression as followed, with the parts of it that give its value.
    pub(super) fn mark_followed(&mut self, expression: &Expr) {
        let expression = unwrapped(expression);
        self.followed.insert(expression.span());
        match expression {
            Expr::Seq(sequence) => {
                if let Some(last) = sequence.exprs.last() {
                    self.mark_followed(last);
                }
            }
            Expr::Cond(conditional) => {
                self.mark_followed(&conditional.cons);
                self.mark_followed(&conditional.alt);
            }
            Expr::Bin(binary) if is_choice(binary.op) => {
                self.mark_followed(&binary.left);
                self.mark_followed(&binary.right);
            }
            Expr::Assign(assign) => self.mark_followed(&assign.right),
            Expr::Await(awaited) => self.mark_followed(&awaited.arg),
            _ => {}
        }
    }

    pub(super) fn use_name(&mut self, name: &str, span: Span) {
        if !self.report.names.contains_key(name) {
            self.report.names.insert(name.to_owned(), span);
        }
    }

    pub(super) fn use_computed(&mut self, key: &Expr) {
        let span = key.span();
        if let Some(names) = self.symbols.texts(key) {
            for name in names {
                self.use_name(&name, span);
            }
        } else {
            let message = "Which function this calls can't be known before the run. List the names it may have in a \
                           comment: `/* uses: first, second */`.";
            self.report.findings.push(Finding::error(COMPUTED, span, message));
        }
    }

    pub(super) fn escape(&mut self, span: Span) {
        let message = "Where `Functions` goes from here can't be followed; only functions whose names are seen are \
                       loaded. List the others in a comment: `/* uses: first, second */`.";
        self.report.findings.push(Finding::warning(ESCAPE, span, message));
    }
}

pub(super) fn private_field(name: &PrivateName) -> Atom {
    format!("#{}", name.name).into()
}

pub(super) const fn is_choice(op: BinaryOp) -> bool {
    matches!(op, BinaryOp::LogicalOr | BinaryOp::LogicalAnd | BinaryOp::NullishCoalescing)
}
