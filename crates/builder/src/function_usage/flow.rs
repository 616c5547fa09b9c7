//! Follows `Functions` through a program, one turn per visit, until no new alias is found. That turn's report counts.

use super::{Detected, FUNCTIONS, symbols::Facts};
use crate::{
    diagnostic::Finding,
    scope::{Scope, unwrapped},
};
use rustc_hash::{FxHashMap, FxHashSet};
use swc_atoms::Atom;
use swc_common::{Span, Spanned};
use swc_ecma_ast::{BinaryOp, Expr, Id, Ident, MemberExpr, MemberProp, OptChainBase, PrivateName, Program};
use swc_ecma_visit::VisitWith;

/// Name of the rule for a name that is computed.
const COMPUTED: &str = "functions-computed";
/// Name of the rule for `Functions` as a value that can't be followed.
const ESCAPE: &str = "functions-escape";

/// What a pattern is matched with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Value {
    Functions,
    /// May be the environment.
    Unknown,
    /// For sure neither `Functions` nor something that holds it.
    Elsewhere,
}

/// What came of one visit.
pub(super) struct Turn {
    pub(super) detected: Detected,
    /// More or fewer aliases are known than before.
    pub(super) grown: bool,
    /// Nothing that is known changed.
    pub(super) settled: bool,
}

pub(super) struct Flow<'a> {
    pub(super) scope: Scope<'a>,
    pub(super) facts: Facts,
    pub(super) variables: FxHashSet<Id>,
    pub(super) fields: FxHashSet<Atom>,
    /// Arguments of methods that were bound in this turn, by the method's name and the argument's index, and whether all
    /// uses of the argument are followed.
    pub(super) passed: FxHashMap<(Atom, usize), bool>,
    /// Expressions that are `Functions` and whose use is accounted for.
    pub(super) followed: FxHashSet<Span>,
    /// How often `Functions` was put into an object.
    pub(super) stored: usize,
    /// Something known to be no alias may be one after all, since this turn.
    unsettled: bool,
    /// What this turn found.
    report: Detected,
    /// Uses that are findings, unless they are followed by the end of the turn.
    escapes: Vec<Span>,
}

impl<'a> Flow<'a> {
    pub(super) fn new(scope: Scope<'a>, facts: Facts) -> Self {
        Self {
            scope,
            facts,
            variables: FxHashSet::default(),
            fields: FxHashSet::from_iter([FUNCTIONS.into()]),
            passed: FxHashMap::default(),
            followed: FxHashSet::default(),
            stored: 0,
            unsettled: false,
            report: Detected::default(),
            escapes: vec![],
        }
    }

    /// Visits the program once. The report is good if `settled`: then another turn would find the same.
    pub(super) fn turn(&mut self, program: &Program) -> Turn {
        let before = self.aliases();
        self.unsettled = false;
        self.report = Detected::default();
        self.escapes.clear();
        self.passed.clear();
        program.visit_with(self);
        for span in std::mem::take(&mut self.escapes) {
            if !self.followed.contains(&span) {
                self.escape(span);
            }
        }
        let grown = self.aliases() != before;
        Turn { detected: std::mem::take(&mut self.report), grown, settled: !grown && !self.unsettled }
    }

    /// How many aliases are known, and how many values are known to be none; more turns change them or are needless.
    fn aliases(&self) -> (usize, usize, usize) {
        (self.variables.len(), self.fields.len(), self.facts.elsewhere.len())
    }

    pub(super) fn is_no_alias(&mut self, ident: &Ident) {
        self.facts.elsewhere.insert(ident.to_id());
    }

    pub(super) fn may_be_alias(&mut self, ident: &Ident) {
        self.unsettled |= self.facts.elsewhere.remove(&ident.to_id());
    }

    /// `Functions` in a place where nothing shows yet what becomes of it.
    pub(super) fn note_escape(&mut self, span: Span) {
        self.escapes.push(span);
    }

    /// Whether the expression is, or may be, the `Functions` object.
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
            MemberProp::Computed(key) => match self.facts.texts(&key.expr).as_deref() {
                Some([name]) => self.fields.contains(&Atom::from(name.as_str())),
                _ => false,
            },
        };
        known && !self.is_elsewhere(&member.obj)
    }

    /// Nearly every text stores it under its own name only, so nearly no name needs a look into the set.
    fn is_field_name(&self, name: &Atom) -> bool {
        **name == *FUNCTIONS || (self.fields.len() > 1 && self.fields.contains(name))
    }

    /// Whether the expression is a part of something that is not the environment.
    pub(super) fn is_elsewhere(&self, expression: &Expr) -> bool {
        match unwrapped(expression) {
            Expr::Ident(ident) => {
                self.facts.elsewhere.contains(&ident.to_id())
                    || (matches!(&*ident.sym, "input" | "event" | "context")
                        && ident.ctxt == self.scope.unresolved
                        && !self.scope.is_global(ident))
            }
            Expr::Member(member) => self.is_elsewhere(&member.obj),
            Expr::OptChain(chain) => match &*chain.base {
                OptChainBase::Member(member) => self.is_elsewhere(&member.obj),
                OptChainBase::Call(_) => false,
            },
            _ => false,
        }
    }

    pub(super) fn value_of(&self, expression: &Expr) -> Value {
        if self.is_functions(expression) {
            Value::Functions
        } else if self.is_elsewhere(expression) {
            Value::Elsewhere
        } else {
            Value::Unknown
        }
    }

    /// True if the expression is `Functions`; from then on its use counts as followed.
    pub(super) fn follow(&mut self, expression: &Expr) -> bool {
        let found = self.is_functions(expression);
        if found {
            self.mark(expression);
        }
        found
    }

    /// Marks the expression, and the parts of it that give its value.
    pub(super) fn mark(&mut self, expression: &Expr) {
        let expression = unwrapped(expression);
        self.followed.insert(expression.span());
        match expression {
            Expr::Seq(sequence) => {
                if let Some(last) = sequence.exprs.last() {
                    self.mark(last);
                }
            }
            Expr::Cond(conditional) => {
                self.mark(&conditional.cons);
                self.mark(&conditional.alt);
            }
            Expr::Bin(binary) if is_choice(binary.op) => {
                self.mark(&binary.left);
                self.mark(&binary.right);
            }
            Expr::Assign(assign) => self.mark(&assign.right),
            Expr::Await(awaited) => self.mark(&awaited.arg),
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
        if let Some(names) = self.facts.texts(key) {
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
