//! Keeps hostile nesting from overflowing our stack.
//!
//! swc's parser, visitors and destructors recurse, and an overflow kills the process. So before a text is parsed, one
//! pass over its bytes finds an upper bound of how deep its tree can be, and after parsing the tree is measured.
//!
//! Invariant: wherever the text is valid up to some token, the tree there has at most a small constant times as many
//! levels as the bound says. Each token that can open a level counts; what a bracket holds is forgotten when it
//! closes, a statement at its `;` or where one line's value is followed by another line's word, an element at its
//! `,`. Where a `/` can't be told apart as division or as the start of a regular expression, nothing is forgotten
//! any more.

mod frame;
mod lexical;
mod scan;

use crate::{diagnostic::Finding, rule};
use swc_common::{BytePos, Span, Spanned};
use swc_ecma_ast::{Expr, Pat, Program, Stmt, TsEntityName, TsNamespaceBody, TsType};
use swc_ecma_visit::{Visit, VisitWith};

/// Levels of the tree. V8 gives up on its own 1 MB stack at a few times this.
const MAX_DEPTH: u32 = 800;

const MESSAGE: &str = "The code is nested too deeply here.";

/// How many levels one token that counts can open at most: `(a,` is a parenthesis and a sequence.
const LEVELS: u32 = 4;

/// How deep the tree of a text can be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bound(u32);

impl Bound {
    /// The tree can't be too deep, so that nothing needs to be measured.
    fn suffices(self) -> bool {
        self.0 < MAX_DEPTH / LEVELS
    }
}

/// Refuses a text whose tree could be too deep to parse. Offsets are relative to the text.
pub(super) fn check_text(text: &str) -> Result<Bound, Finding> {
    match scan::Scan::new(text).run() {
        Ok(most) => Ok(Bound(most)),
        Err(at) => {
            let at = u32::try_from(at).unwrap_or(u32::MAX);
            Err(Finding::error(rule::NESTING, Span::new(BytePos(at), BytePos(at + 1)), MESSAGE))
        }
    }
}

/// Offsets of the `<` that stand where an operand may start, as the scan understands the text.
pub(super) fn prefix_angles(text: &str) -> impl Iterator<Item = usize> {
    let mut scan = scan::Scan::new(text);
    std::iter::from_fn(move || scan.next_prefix_angle())
}

/// Refuses a tree that is too deep to be worked on. `bound` is that of its text.
pub(super) fn check_tree(program: &Program, bound: Bound) -> Result<(), Finding> {
    // Tests and the fuzzer measure all the same.
    if bound.suffices() && !cfg!(debug_assertions) {
        return Ok(());
    }
    let mut depth = Depth { now: 0, too_deep: None };
    program.visit_with(&mut depth);
    debug_assert!(depth.too_deep.is_none() || !bound.suffices(), "{bound:?} is too low");
    depth.too_deep.map_or(Ok(()), |span| Err(Finding::error(rule::NESTING, span, MESSAGE)))
}

struct Depth {
    now: u32,
    too_deep: Option<Span>,
}

impl Depth {
    fn descend<N: Spanned + VisitWith<Self>>(&mut self, node: &N) {
        if self.too_deep.is_some() {
            return;
        }
        if self.now == MAX_DEPTH {
            let lo = node.span().lo;
            self.too_deep = Some(Span::new(lo, lo + BytePos(1)));
            return;
        }
        self.now += 1;
        node.visit_children_with(self);
        self.now -= 1;
    }
}

/// Every way a node can hold another of its own kind passes through one of these.
impl Visit for Depth {
    fn visit_expr(&mut self, node: &Expr) {
        self.descend(node);
    }
    fn visit_stmt(&mut self, node: &Stmt) {
        self.descend(node);
    }
    fn visit_pat(&mut self, node: &Pat) {
        self.descend(node);
    }
    fn visit_ts_type(&mut self, node: &TsType) {
        self.descend(node);
    }
    fn visit_ts_entity_name(&mut self, node: &TsEntityName) {
        self.descend(node);
    }
    fn visit_ts_namespace_body(&mut self, node: &TsNamespaceBody) {
        self.descend(node);
    }
}
