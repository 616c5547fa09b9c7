//! Identifiers with escapes of characters that identifiers cannot contain: `\u0039s` would be printed as `9s`.

use crate::{diagnostic::Finding, rule};
use swc_common::Span;
use swc_ecma_ast::{Ident, IdentName, PrivateName, Program};
use swc_ecma_visit::{Visit, VisitWith, noop_visit_type};

pub(super) fn check(program: &Program) -> Vec<Finding> {
    let mut names = EscapedNames(vec![]);
    program.visit_with(&mut names);
    names.0
}

struct EscapedNames(Vec<Finding>);

impl EscapedNames {
    fn name(&mut self, name: &str, span: Span) {
        let mut characters = name.chars();
        let valid =
            characters.next().is_some_and(Ident::is_valid_start) && characters.all(Ident::is_valid_continue);
        if !valid {
            let message = format!("`{name}` is not a valid name, even with escapes.");
            self.0.push(Finding::error(rule::SYNTAX, span, message));
        }
    }
}

impl Visit for EscapedNames {
    noop_visit_type!();

    fn visit_ident(&mut self, ident: &Ident) {
        self.name(&ident.sym, ident.span);
    }

    fn visit_ident_name(&mut self, name: &IdentName) {
        self.name(&name.sym, name.span);
    }

    fn visit_private_name(&mut self, name: &PrivateName) {
        self.name(&name.name, name.span);
    }
}
