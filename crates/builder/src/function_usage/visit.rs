//! Visitor of the syntax in which `Functions` is used, stored, passed on or destructured.

use super::{
    FUNCTIONS,
    flow::{AbstractValue, Flow, is_choice},
};
use crate::scope::property_name;
use swc_atoms::Atom;
use swc_common::Spanned;
use swc_ecma_ast::{
    ArrowExpr, AssignExpr, AssignOp, AssignTarget, BinExpr, CallExpr, Callee, ClassProp, Expr, ExprStmt,
    ForHead, ForInStmt, ForOfStmt, Function, KeyValueProp, MemberExpr, MemberProp, NewExpr, ObjectLit,
    OptCall, Pat, Prop, PropOrSpread, SimpleAssignTarget, TsParamProp, TsParamPropParam, UnaryExpr,
    VarDeclarator,
};
use swc_ecma_visit::{Visit, VisitWith, noop_visit_type};

impl Visit for Flow<'_> {
    noop_visit_type!();

    fn visit_expr(&mut self, expression: &Expr) {
        let place = matches!(expression, Expr::Ident(_) | Expr::Member(_) | Expr::OptChain(_));
        if place && self.is_functions(expression) {
            self.record_escape(expression.span());
        }
        expression.visit_children_with(self);
    }

    fn visit_member_expr(&mut self, member: &MemberExpr) {
        if self.follow(&member.obj) {
            match &member.prop {
                MemberProp::Ident(name) => self.use_name(&name.sym, name.span),
                MemberProp::Computed(key) => self.use_computed(&key.expr),
                MemberProp::PrivateName(_) => {}
            }
        }
        member.visit_children_with(self);
    }

    fn visit_var_declarator(&mut self, declarator: &VarDeclarator) {
        let stores = self.stores;
        declarator.init.visit_with(self);
        if let Some(init) = &declarator.init {
            if self.stores > stores
                && let Pat::Ident(ident) = &declarator.name
            {
                self.unmark_unrelated(ident);
            }
            self.follow(init);
            let value = self.value_of(init);
            self.bind(&declarator.name, value);
            // A part of the event cannot be the environment under another name.
            if value == AbstractValue::Unrelated
                && let Pat::Ident(ident) = &declarator.name
                && !self.fields.iter().any(|field| **field != *FUNCTIONS)
            {
                self.mark_unrelated(ident);
            }
        }
        declarator.name.visit_with(self);
    }

    fn visit_assign_expr(&mut self, assign: &AssignExpr) {
        let plain = matches!(
            assign.op,
            AssignOp::Assign | AssignOp::OrAssign | AssignOp::AndAssign | AssignOp::NullishAssign
        );
        if plain {
            self.follow(&assign.right);
            let value = self.value_of(&assign.right);
            match &assign.left {
                AssignTarget::Simple(SimpleAssignTarget::Ident(ident)) => {
                    if value == AbstractValue::Functions {
                        self.variables.insert(ident.to_id());
                    }
                }
                AssignTarget::Simple(SimpleAssignTarget::Member(member))
                    if value == AbstractValue::Functions =>
                {
                    self.store(&Expr::Member(member.clone()));
                }
                AssignTarget::Pat(pattern) => self.bind(&pattern.clone().into(), value),
                AssignTarget::Simple(_) => {}
            }
        }
        assign.visit_children_with(self);
    }

    fn visit_object_lit(&mut self, object: &ObjectLit) {
        for property in &object.props {
            let name = match property {
                PropOrSpread::Prop(property) => match &**property {
                    Prop::Shorthand(ident) if self.is_alias(ident) => Some(ident.sym.clone()),
                    Prop::KeyValue(KeyValueProp { key, value }) if self.is_functions(value) => {
                        let name = property_name(key).map(Atom::from);
                        if name.is_some() {
                            self.mark_followed(value);
                        }
                        name
                    }
                    _ => None,
                },
                PropOrSpread::Spread(spread) => {
                    if !self.is_unrelated(&spread.expr) {
                        self.stores += 1;
                    }
                    None
                }
            };
            if let Some(name) = name {
                self.stores += 1;
                self.fields.insert(name);
            }
        }
        object.visit_children_with(self);
    }

    fn visit_class_prop(&mut self, property: &ClassProp) {
        if let Some(value) = &property.value
            && let Some(name) = property_name(&property.key)
            && self.follow(value)
        {
            self.fields.insert(name.into());
        }
        property.visit_children_with(self);
    }

    fn visit_ts_param_prop(&mut self, property: &TsParamProp) {
        let ident = match &property.param {
            TsParamPropParam::Ident(ident) => Some(ident),
            TsParamPropParam::Assign(assign) => assign.left.as_ident(),
        };
        if let Some(ident) = ident
            && self.variables.contains(&ident.to_id())
        {
            self.fields.insert(ident.sym.clone());
        }
        property.visit_children_with(self);
    }

    fn visit_call_expr(&mut self, call: &CallExpr) {
        if let Callee::Expr(callee) = &call.callee {
            self.call(callee, &call.args);
        }
        call.visit_children_with(self);
    }

    fn visit_opt_call(&mut self, call: &OptCall) {
        self.call(&call.callee, &call.args);
        call.visit_children_with(self);
    }

    fn visit_new_expr(&mut self, new: &NewExpr) {
        if let Some(arguments) = &new.args {
            self.call(&new.callee, arguments);
        }
        new.visit_children_with(self);
    }

    fn visit_fn_decl(&mut self, declaration: &swc_ecma_ast::FnDecl) {
        let known = !self.symbols.used_as_values.contains(&declaration.ident.to_id());
        self.bind_parameters(declaration.function.params.iter().map(|parameter| &parameter.pat), known);
        declaration.function.visit_children_with(self);
    }

    fn visit_function(&mut self, function: &Function) {
        self.bind_parameters(function.params.iter().map(|parameter| &parameter.pat), false);
        function.visit_children_with(self);
    }

    fn visit_arrow_expr(&mut self, arrow: &ArrowExpr) {
        self.bind_parameters(arrow.params.iter(), false);
        arrow.visit_children_with(self);
    }

    fn visit_for_of_stmt(&mut self, statement: &ForOfStmt) {
        if let ForHead::VarDecl(declaration) = &statement.left {
            for declarator in &declaration.decls {
                self.bind(&declarator.name, AbstractValue::Unknown);
            }
        }
        statement.visit_children_with(self);
    }

    /// Accepts `for (const name in Functions)`: it only lists names, and a call by name is a computed access.
    fn visit_for_in_stmt(&mut self, statement: &ForInStmt) {
        self.follow(&statement.right);
        statement.visit_children_with(self);
    }

    fn visit_unary_expr(&mut self, unary: &UnaryExpr) {
        self.follow(&unary.arg);
        unary.visit_children_with(self);
    }

    fn visit_bin_expr(&mut self, binary: &BinExpr) {
        if !is_choice(binary.op) {
            self.follow(&binary.left);
            self.follow(&binary.right);
        }
        binary.visit_children_with(self);
    }

    fn visit_expr_stmt(&mut self, statement: &ExprStmt) {
        self.follow(&statement.expr);
        statement.visit_children_with(self);
    }

    fn visit_if_stmt(&mut self, statement: &swc_ecma_ast::IfStmt) {
        self.follow(&statement.test);
        statement.visit_children_with(self);
    }
}
