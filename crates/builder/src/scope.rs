//! Whether an identifier means the global of its name. The resolver has tagged the tree.

use swc_common::SyntaxContext;
use swc_ecma_ast::{Expr, Ident, MemberExpr, MemberProp, PropName};

/// What a text can see around itself.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    /// What the resolver gives identifiers that nothing in the text declares.
    pub(super) unresolved: SyntaxContext,
    /// Variables that the wrapper declares around the text: these are no globals.
    pub(super) outer_names: &'a [String],
}

impl Scope<'_> {
    /// True if nothing in or around the text declares this name.
    pub(super) fn is_global(&self, ident: &Ident) -> bool {
        ident.ctxt == self.unresolved && !self.outer_names.iter().any(|name| *name == *ident.sym)
    }

    /// The global that an expression names, directly or as a property of `globalThis`.
    pub(super) fn global_name<'e>(&self, expression: &'e Expr) -> Option<&'e str> {
        match unwrapped(expression) {
            Expr::Ident(ident) if self.is_global(ident) => Some(&ident.sym),
            Expr::Member(member) => self.global_property(member),
            _ => None,
        }
    }

    /// The global that a member expression names as a property of `globalThis`.
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

/// The expression inside parentheses and type assertions.
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

/// The text of a string literal or of a template without expressions.
pub(super) fn literal_text(expression: &Expr) -> Option<&str> {
    match unwrapped(expression) {
        Expr::Lit(swc_ecma_ast::Lit::Str(text)) => text.value.as_str(),
        Expr::Tpl(template) if template.exprs.is_empty() => {
            template.quasis.first()?.cooked.as_ref().and_then(|text| text.as_str())
        }
        _ => None,
    }
}

/// The name of a property, unless it is computed.
pub(super) fn property_name(name: &PropName) -> Option<&str> {
    match name {
        PropName::Ident(ident) => Some(&ident.sym),
        PropName::Str(text) => text.value.as_str(),
        PropName::Computed(key) => literal_text(&key.expr),
        PropName::Num(_) | PropName::BigInt(_) => None,
    }
}
