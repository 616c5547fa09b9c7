//! Property names that are forbidden, or forbidden twice, in a class or an object literal.

use crate::{diagnostic::Finding, rule};
use swc_common::{Span, Spanned};
use swc_ecma_ast::{
    Class, ClassMember, Function, Key, MethodKind, ObjectLit, Program, Prop, PropName, PropOrSpread,
};
use swc_ecma_visit::{Visit, VisitWith, noop_visit_type};

pub(super) fn check(program: &Program) -> Vec<Finding> {
    let mut names = PropertyNames(vec![]);
    program.visit_with(&mut names);
    names.0
}

struct PropertyNames(Vec<Finding>);

impl PropertyNames {
    fn report(&mut self, span: Span, message: &str) {
        self.0.push(Finding::error(rule::SYNTAX, span, message));
    }

    fn field(&mut self, key: &PropName, is_static: bool) {
        match plain(key) {
            Some("constructor") => self.report(key.span(), "A class can't have a field named `constructor`."),
            Some("prototype") if is_static => self.report(key.span(), STATIC_PROTOTYPE),
            _ => {}
        }
    }

    fn method(&mut self, key: &PropName, is_static: bool, kind: MethodKind, function: &Function) {
        let special = kind != MethodKind::Method || function.is_async || function.is_generator;
        match plain(key) {
            Some("prototype") if is_static => self.report(key.span(), STATIC_PROTOTYPE),
            Some("constructor") if !is_static && special => {
                self.report(key.span(), "A constructor can't be `get`, `set`, `async` or a generator.");
            }
            _ => {}
        }
    }
}

const STATIC_PROTOTYPE: &str = "A class can't have a static property named `prototype`.";

/// Name of a property, unless it is written in brackets.
fn plain(key: &PropName) -> Option<&str> {
    match key {
        PropName::Ident(name) => Some(&name.sym),
        PropName::Str(text) => text.value.as_str(),
        PropName::Computed(_) | PropName::Num(_) | PropName::BigInt(_) => None,
    }
}

impl Visit for PropertyNames {
    noop_visit_type!();

    fn visit_class(&mut self, class: &Class) {
        for member in &class.body {
            match member {
                ClassMember::ClassProp(field) if !field.declare && !field.is_abstract => {
                    self.field(&field.key, field.is_static);
                }
                ClassMember::AutoAccessor(accessor) => {
                    if let Key::Public(key) = &accessor.key {
                        self.field(key, accessor.is_static);
                    }
                }
                ClassMember::Method(method) if method.function.body.is_some() => {
                    self.method(&method.key, method.is_static, method.kind, &method.function);
                }
                ClassMember::PrivateProp(field) if field.key.name == "constructor" => {
                    self.report(field.key.span, "A class can't have a private name `#constructor`.");
                }
                ClassMember::PrivateMethod(method) if method.key.name == "constructor" => {
                    self.report(method.key.span, "A class can't have a private name `#constructor`.");
                }
                _ => {}
            }
        }
        class.visit_children_with(self);
    }

    fn visit_object_lit(&mut self, object: &ObjectLit) {
        let prototypes = object.props.iter().filter_map(|property| match property {
            PropOrSpread::Prop(property) => match &**property {
                Prop::KeyValue(pair) if plain(&pair.key) == Some("__proto__") => Some(pair.key.span()),
                _ => None,
            },
            PropOrSpread::Spread(_) => None,
        });
        for span in prototypes.skip(1).collect::<Vec<_>>() {
            self.report(span, "An object literal can set `__proto__` only once.");
        }
        object.visit_children_with(self);
    }
}
