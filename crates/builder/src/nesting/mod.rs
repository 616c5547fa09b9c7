//! Protection against stack overflow by hostile nesting.
//!
//! swc's parser, visitors and destructors recurse, and an overflow kills the process. So one pass over the bytes of a
//! text finds an upper bound of the depth of its tree before the text is parsed. After parsing, the tree is measured.
//!
//! Invariant: wherever the text is valid up to some token, the depth of the tree there is at most a small constant
//! times the bound. Each token that can open a level has a weight. The weight of a bracket's content is removed when
//! the bracket closes, the weight of an element at its `,`, and the weight of a statement at its `;` or where a word
//! starts the line after a value. Where a `/` may be a division or the start of a regular expression, no weight is
//! removed any more.

mod frame;
mod lexical;
mod scan;

use crate::{diagnostic::Finding, rule};
use swc_common::{BytePos, Span, Spanned};
use swc_ecma_ast::{Expr, Pat, Program, Stmt, TsEntityName, TsNamespaceBody, TsType};
use swc_ecma_visit::{Visit, VisitWith};

/// Maximum depth of a tree, in levels. V8 overflows its own stack of 1 MB at a few times this depth.
const MAX_DEPTH: u32 = 800;

const MESSAGE: &str = "The code is nested too deeply here.";

/// Maximum number of levels that one counted token can open: `(a,` is a parenthesis and a sequence.
const LEVELS_PER_TOKEN: u32 = 4;

/// Upper bound of the depth of a text's tree, in weighted tokens.
#[derive(Clone, Copy, Debug)]
pub(super) struct DepthBound(u32);

impl DepthBound {
    /// Returns whether the bound alone proves that the tree is not too deep, so that it need not be measured.
    fn suffices(self) -> bool {
        self.0 < MAX_DEPTH / LEVELS_PER_TOKEN
    }
}

/// Rejects a text whose tree could be too deep to parse. Offsets are relative to the text.
pub(super) fn check_text(text: &str) -> Result<DepthBound, Finding> {
    match scan::Scan::new(text).run() {
        Ok(most) => Ok(DepthBound(most)),
        Err(at) => {
            let at = u32::try_from(at).unwrap_or(u32::MAX);
            Err(Finding::error(rule::NESTING, Span::new(BytePos(at), BytePos(at + 1)), MESSAGE))
        }
    }
}

/// Offsets of each `<` at which an operand may start, as far as the scan can tell.
pub(super) fn prefix_angles(text: &str) -> impl Iterator<Item = usize> {
    let mut scan = scan::Scan::new(text);
    std::iter::from_fn(move || scan.next_prefix_angle())
}

/// Rejects a tree that is too deep to be processed. `bound` is the bound of its text.
pub(super) fn check_tree(program: &Program, bound: DepthBound) -> Result<(), Finding> {
    // Tests and the fuzzer always measure.
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

/// Visits the kinds of nodes that every nesting of a node in its own kind passes through.
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
