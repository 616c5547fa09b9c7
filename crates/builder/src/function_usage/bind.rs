//! Binding of values to the variables and properties of a pattern.

use super::{
    FUNCTIONS,
    flow::{AbstractValue, Flow, private_field},
    symbols::parameter_name,
};
use crate::scope::{property_name, unwrapped};
use swc_atoms::Atom;
use swc_common::Spanned;
use swc_ecma_ast::{Expr, MemberProp, ObjectPat, ObjectPatProp, Pat, PropName};

impl Flow<'_> {
    /// Binds the parameters of a function. Each may receive the environment.
    pub(super) fn bind_parameters<'p>(
        &mut self,
        patterns: impl Iterator<Item = &'p Pat>,
        callers_known: bool,
    ) {
        for pattern in patterns {
            // A parameter of this name receives `Functions`, unless all callers are known to pass something else.
            let named =
                parameter_name(pattern).is_some_and(|ident| &*ident.sym == FUNCTIONS) && !callers_known;
            self.bind(pattern, if named { AbstractValue::Functions } else { AbstractValue::Unknown });
        }
    }

    pub(super) fn bind(&mut self, pattern: &Pat, value: AbstractValue) {
        match pattern {
            Pat::Ident(ident) => {
                if value == AbstractValue::Functions {
                    self.variables.insert(ident.to_id());
                }
            }
            Pat::Assign(assign) => {
                let value = if self.follow(&assign.right) { AbstractValue::Functions } else { value };
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
                if value == AbstractValue::Functions {
                    self.store(target);
                }
            }
            Pat::Invalid(_) => {}
        }
    }

    fn bind_object(&mut self, object: &ObjectPat, value: AbstractValue) {
        for property in &object.props {
            match property {
                ObjectPatProp::KeyValue(property) => {
                    let value = self.property_value(&property.key, value);
                    self.bind(&property.value, value);
                }
                ObjectPatProp::Assign(property) => {
                    let name = property.key.sym.clone();
                    if value == AbstractValue::Functions {
                        self.use_name(&name, property.key.span);
                    }
                    let default = property.value.as_ref().is_some_and(|default| self.follow(default));
                    if default || (value == AbstractValue::Unknown && self.fields.contains(&name)) {
                        self.variables.insert(property.key.to_id());
                    }
                }
                ObjectPatProp::Rest(rest) => self.bind(&rest.arg, value),
            }
        }
    }

    /// Value of a destructured property, given the value of its holder.
    fn property_value(&mut self, key: &PropName, holder: AbstractValue) -> AbstractValue {
        match holder {
            AbstractValue::Functions => {
                match key {
                    PropName::Computed(computed) => self.use_computed(&computed.expr),
                    _ => {
                        if let Some(name) = property_name(key) {
                            self.use_name(name, key.span());
                        }
                    }
                }
                AbstractValue::Unrelated
            }
            AbstractValue::Unknown
                if property_name(key).is_some_and(|name| self.fields.contains(&Atom::from(name))) =>
            {
                AbstractValue::Functions
            }
            other => other,
        }
    }

    /// Records an assignment of `Functions` to a target that is not a variable.
    pub(super) fn store(&mut self, target: &Expr) {
        if let Expr::Member(member) = unwrapped(target) {
            match &member.prop {
                MemberProp::Ident(name) => {
                    self.fields.insert(name.sym.clone());
                }
                MemberProp::PrivateName(name) => {
                    self.fields.insert(private_field(name));
                }
                MemberProp::Computed(key) => match self.symbols.texts(&key.expr) {
                    Some(names) => self.fields.extend(names.into_iter().map(Atom::from)),
                    None => self.escape(member.span),
                },
            }
            self.mark_holder(&member.obj);
        }
    }

    /// Records that the value of this variable now holds `Functions` in some property.
    fn mark_holder(&mut self, holder: &Expr) {
        match unwrapped(holder) {
            Expr::Ident(ident) => self.unmark_unrelated(ident),
            Expr::Member(member) => self.mark_holder(&member.obj),
            _ => {}
        }
    }
}

const fn inner(value: AbstractValue) -> AbstractValue {
    match value {
        AbstractValue::Functions | AbstractValue::Unknown => AbstractValue::Unknown,
        AbstractValue::Unrelated => AbstractValue::Unrelated,
    }
}
