//! What variables and properties hold once a value is matched with a pattern.

use super::{
    FUNCTIONS,
    flow::{Flow, Value, private_field},
    symbols::named,
};
use crate::scope::{property_name, unwrapped};
use swc_atoms::Atom;
use swc_common::Spanned;
use swc_ecma_ast::{Expr, MemberProp, ObjectPat, ObjectPatProp, Pat, PropName};

impl Flow<'_> {
    /// Parameters of a function: an environment may come in through each.
    pub(super) fn bind_parameters<'p>(
        &mut self,
        patterns: impl Iterator<Item = &'p Pat>,
        callers_known: bool,
    ) {
        for pattern in patterns {
            // Whoever calls it means what the name says, unless all callers are seen to pass something else.
            let named = named(pattern).is_some_and(|ident| &*ident.sym == FUNCTIONS) && !callers_known;
            self.bind(pattern, if named { Value::Functions } else { Value::Unknown });
        }
    }

    pub(super) fn bind(&mut self, pattern: &Pat, value: Value) {
        match pattern {
            Pat::Ident(ident) => {
                if value == Value::Functions {
                    self.variables.insert(ident.to_id());
                }
            }
            Pat::Assign(assign) => {
                let value = if self.follow(&assign.right) { Value::Functions } else { value };
                self.bind(&assign.left, value);
            }
            Pat::Object(object) => self.bind_object(object, value),
            Pat::Array(array) => {
                for element in array.elems.iter().flatten() {
                    self.bind(element, inner(value));
                }
            }
            Pat::Rest(rest) => self.bind(&rest.arg, value),
            Pat::Expr(target) => {
                if value == Value::Functions {
                    self.store(target);
                }
            }
            Pat::Invalid(_) => {}
        }
    }

    fn bind_object(&mut self, object: &ObjectPat, value: Value) {
        for property in &object.props {
            match property {
                ObjectPatProp::KeyValue(property) => {
                    let value = self.property_value(&property.key, value);
                    self.bind(&property.value, value);
                }
                ObjectPatProp::Assign(property) => {
                    let name = property.key.sym.clone();
                    if value == Value::Functions {
                        self.use_name(&name, property.key.span);
                    }
                    let default = property.value.as_ref().is_some_and(|default| self.follow(default));
                    if default || (value == Value::Unknown && self.fields.contains(&name)) {
                        self.variables.insert(property.key.to_id());
                    }
                }
                ObjectPatProp::Rest(rest) => self.bind(&rest.arg, value),
            }
        }
    }

    /// What a destructured property is, given what holds it.
    fn property_value(&mut self, key: &PropName, holder: Value) -> Value {
        match holder {
            Value::Functions => {
                match key {
                    PropName::Computed(computed) => self.use_computed(&computed.expr),
                    _ => {
                        if let Some(name) = property_name(key) {
                            self.use_name(name, key.span());
                        }
                    }
                }
                Value::Elsewhere
            }
            Value::Unknown
                if property_name(key).is_some_and(|name| self.fields.contains(&Atom::from(name))) =>
            {
                Value::Functions
            }
            other => other,
        }
    }

    /// `Functions` is assigned to something that is no variable.
    pub(super) fn store(&mut self, target: &Expr) {
        if let Expr::Member(member) = unwrapped(target) {
            match &member.prop {
                MemberProp::Ident(name) => {
                    self.fields.insert(name.sym.clone());
                }
                MemberProp::PrivateName(name) => {
                    self.fields.insert(private_field(name));
                }
                MemberProp::Computed(key) => match self.facts.texts(&key.expr) {
                    Some(names) => self.fields.extend(names.into_iter().map(Atom::from)),
                    None => self.escape(member.span),
                },
            }
            self.hold(&member.obj);
        }
    }

    /// Whatever this variable held from the start, now it holds `Functions` somewhere.
    fn hold(&mut self, holder: &Expr) {
        match unwrapped(holder) {
            Expr::Ident(ident) => self.may_be_alias(ident),
            Expr::Member(member) => self.hold(&member.obj),
            _ => {}
        }
    }
}

const fn inner(value: Value) -> Value {
    match value {
        Value::Functions | Value::Unknown => Value::Unknown,
        Value::Elsewhere => Value::Elsewhere,
    }
}
