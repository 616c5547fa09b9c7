//! Resolution of identifiers to globals. Requires a tree that the resolver has tagged.

use swc_common::SyntaxContext;
use swc_ecma_ast::{BindingIdent, Expr, Ident, MemberExpr, MemberProp, Pat, PropName};
use swc_ecma_visit::{Visit, VisitWith, noop_visit_type};

/// Names that surround a text.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    /// Context that the resolver gives to identifiers that the text does not declare.
    pub(super) unresolved: SyntaxContext,
    /// Variables that the wrapper declares around the text. They are not globals.
    pub(super) outer_names: &'a [String],
}

impl Scope<'_> {
    /// Returns whether neither the text nor its wrapper declares this name.
    pub(super) fn is_global(&self, ident: &Ident) -> bool {
        ident.ctxt == self.unresolved && !self.outer_names.iter().any(|name| *name == *ident.sym)
    }

    /// Name of the global that an expression refers to, directly or as a property of `globalThis`.
    pub(super) fn global_name<'e>(&self, expression: &'e Expr) -> Option<&'e str> {
        match unwrapped(expression) {
            Expr::Ident(ident) if self.is_global(ident) => Some(&ident.sym),
            Expr::Member(member) => self.global_property(member),
            _ => None,
        }
    }

    /// Name of the global that a member expression refers to as a property of `globalThis`.
    pub(super) fn global_property<'e>(&self, member: &'e MemberExpr) -> Option<&'e str> {
        let is_of_global_this = match unwrapped(&member.obj) {
            Expr::Ident(ident) => &*ident.sym == "globalThis" && self.is_global(ident),
            Expr::Member(object) => self.global_property(object) == Some("globalThis"),
            _ => false,
        };
        if !is_of_global_this {
            return None;
        }
        match &member.prop {
            MemberProp::Ident(name) => Some(&name.sym),
            MemberProp::Computed(key) => literal_text(&key.expr),
            MemberProp::PrivateName(_) => None,
        }
    }
}

/// Returns the expression inside parentheses and type assertions.
pub(super) fn unwrapped(mut expression: &Expr) -> &Expr {
    loop {
        expression = match expression {
            Expr::Paren(inner) => &inner.expr,
            Expr::TsAs(inner) => &inner.expr,
            Expr::TsSatisfies(inner) => &inner.expr,
            Expr::TsTypeAssertion(inner) => &inner.expr,
            Expr::TsConstAssertion(inner) => &inner.expr,
            Expr::TsNonNull(inner) => &inner.expr,
            Expr::TsInstantiation(inner) => &inner.expr,
            _ => return expression,
        };
    }
}

/// Text of a string literal or of a template without expressions.
pub(super) fn literal_text(expression: &Expr) -> Option<&str> {
    match unwrapped(expression) {
        Expr::Lit(swc_ecma_ast::Lit::Str(text)) => text.value.as_str(),
        Expr::Tpl(template) if template.exprs.is_empty() => {
            template.quasis.first()?.cooked.as_ref().and_then(|text| text.as_str())
        }
        _ => None,
    }
}

/// Lists the identifiers that a pattern binds.
pub(super) fn bound_identifiers(pattern: &Pat) -> Vec<Ident> {
    struct BoundIdentifiers(Vec<Ident>);
    impl Visit for BoundIdentifiers {
        noop_visit_type!();
        fn visit_binding_ident(&mut self, ident: &BindingIdent) {
            self.0.push(ident.id.clone());
        }
        fn visit_expr(&mut self, _: &Expr) {}
    }
    let mut bound = BoundIdentifiers(vec![]);
    pattern.visit_with(&mut bound);
    bound.0
}

/// Name of a property, unless it is computed.
pub(super) fn property_name(name: &PropName) -> Option<&str> {
    match name {
        PropName::Ident(ident) => Some(&ident.sym),
        PropName::Str(text) => text.value.as_str(),
        PropName::Computed(key) => literal_text(&key.expr),
        PropName::Num(_) | PropName::BigInt(_) => None,
    }
}
