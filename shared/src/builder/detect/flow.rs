//! Follows `Functions` through a program, one turn per visit, until no new alias is found; then reports.

use super::super::diagnostic::Finding;
use super::super::scope::{Scope, property_name, unwrapped};
use super::facts::{Facts, parameters};
use super::{Detected, FUNCTIONS};
use std::collections::HashSet;
use swc_atoms::Atom;
use swc_common::{Span, Spanned};
use swc_ecma_ast::{
    ArrowExpr, AssignExpr, AssignOp, AssignTarget, BinExpr, BinaryOp, CallExpr, Callee, ClassProp, Expr,
    ExprOrSpread, ExprStmt, ForHead, ForInStmt, ForOfStmt, Function, Id, Ident, KeyValueProp, MemberExpr,
    MemberProp, NewExpr, ObjectLit, ObjectPat, ObjectPatProp, OptCall, OptChainBase, Pat, Program, Prop,
    PropName, PropOrSpread, SimpleAssignTarget, TsParamProp, TsParamPropParam, UnaryExpr, VarDeclarator,
};
use swc_ecma_visit::{Visit, VisitWith, noop_visit_type};

/// Name of the rule for a name that is computed.
const COMPUTED: &str = "functions-computed";
/// Name of the rule for `Functions` as a value that can't be followed.
const ESCAPE: &str = "functions-escape";

/// What a pattern is matched with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Value {
    Functions,
    /// May be the environment.
    Unknown,
    /// For sure neither `Functions` nor something that holds it.
    Elsewhere,
}

pub(super) struct Flow<'a> {
    scope: Scope<'a>,
    facts: Facts,
    variables: HashSet<Id>,
    fields: HashSet<Atom>,
    /// Expressions that are `Functions` and whose use is accounted for.
    followed: HashSet<Span>,
    /// How often `Functions` was put into an object.
    stored: usize,
    /// Only the last visit reports.
    report: Option<Detected>,
}

impl<'a> Flow<'a> {
    pub(super) fn new(scope: Scope<'a>, facts: Facts) -> Self {
        Self {
            scope,
            facts,
            variables: HashSet::new(),
            fields: HashSet::from([FUNCTIONS.into()]),
            followed: HashSet::new(),
            stored: 0,
            report: None,
        }
    }

    /// How many aliases are known, and how many values are known to be none; more turns change them or are needless.
    pub(super) fn aliases(&self) -> (usize, usize, usize) {
        (self.variables.len(), self.fields.len(), self.facts.elsewhere.len())
    }

    pub(super) fn report(mut self, program: &Program) -> Detected {
        self.report = Some(Detected::default());
        program.visit_with(&mut self);
        self.report.unwrap_or_default()
    }

    /// Whether the expression is, or may be, the `Functions` object.
    fn is_functions(&self, expression: &Expr) -> bool {
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

    fn is_alias(&self, ident: &Ident) -> bool {
        (&*ident.sym == FUNCTIONS && self.scope.is_global(ident)) || self.variables.contains(&ident.to_id())
    }

    fn is_field(&self, member: &MemberExpr) -> bool {
        let name = match &member.prop {
            MemberProp::Ident(name) => Some(name.sym.clone()),
            MemberProp::PrivateName(name) => Some(format!("#{}", name.name).into()),
            MemberProp::Computed(key) => match self.facts.texts(&key.expr).as_deref() {
                Some([name]) => Some(name.as_str().into()),
                _ => None,
            },
        };
        name.is_some_and(|name| self.fields.contains(&name)) && !self.is_elsewhere(&member.obj)
    }

    /// Whether the expression is a part of something that is not the environment.
    fn is_elsewhere(&self, expression: &Expr) -> bool {
        match unwrapped(expression) {
            Expr::Ident(ident) => {
                self.facts.elsewhere.contains(&ident.to_id())
                    || (matches!(&*ident.sym, "input" | "event" | "context")
                        && ident.ctxt.has_mark(self.scope.unresolved)
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

    fn value_of(&self, expression: &Expr) -> Value {
        if self.is_functions(expression) {
            Value::Functions
        } else if self.is_elsewhere(expression) {
            Value::Elsewhere
        } else {
            Value::Unknown
        }
    }

    fn bind(&mut self, pattern: &Pat, value: Value) {
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
    fn store(&mut self, target: &Expr) {
        if let Expr::Member(member) = unwrapped(target) {
            match &member.prop {
                MemberProp::Ident(name) => {
                    self.fields.insert(name.sym.clone());
                }
                MemberProp::PrivateName(name) => {
                    self.fields.insert(format!("#{}", name.name).into());
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
            Expr::Ident(ident) => {
                self.facts.elsewhere.remove(&ident.to_id());
            }
            Expr::Member(member) => self.hold(&member.obj),
            _ => {}
        }
    }

    /// True if the expression is `Functions`; from then on its use counts as followed.
    fn follow(&mut self, expression: &Expr) -> bool {
        let found = self.is_functions(expression);
        if found {
            self.mark(expression);
        }
        found
    }

    /// Marks the expression, and the parts of it that give its value.
    fn mark(&mut self, expression: &Expr) {
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

    fn use_name(&mut self, name: &str, span: Span) {
        if let Some(detected) = &mut self.report {
            detected.names.entry(name.to_owned()).or_insert(span);
        }
    }

    fn use_computed(&mut self, key: &Expr) {
        let span = key.span();
        if let Some(names) = self.facts.texts(key) {
            for name in names {
                self.use_name(&name, span);
            }
        } else if let Some(detected) = &mut self.report {
            let message = "Which function this calls can't be known before the run. List the names it may have in a \
                           comment: `/* uses: first, second */`.";
            detected.findings.push(Finding::error(COMPUTED, span, message));
        }
    }

    fn escape(&mut self, span: Span) {
        if let Some(detected) = &mut self.report {
            let message = "Where `Functions` goes from here can't be followed; only functions whose names are seen \
                           are loaded. List the others in a comment: `/* uses: first, second */`.";
            detected.findings.push(Finding::warning(ESCAPE, span, message));
        }
    }

    fn pass(&mut self, arguments: &[ExprOrSpread], targets: &[Vec<Pat>]) {
        for (index, argument) in arguments.iter().enumerate() {
            if argument.spread.is_some() {
                return;
            }
            if !self.is_functions(&argument.expr) {
                continue;
            }
            for patterns in targets {
                match patterns.get(index) {
                    Some(Pat::Rest(_)) => {}
                    Some(pattern) => {
                        self.mark(&argument.expr);
                        self.bind(pattern, Value::Functions);
                    }
                    // A surplus argument is dropped.
                    None if !matches!(patterns.last(), Some(Pat::Rest(_))) => self.mark(&argument.expr),
                    None => {}
                }
            }
        }
    }

    /// The parameters of what is called, as far as the text itself declares it.
    fn targets(&self, callee: &Expr) -> Vec<Vec<Pat>> {
        match unwrapped(callee) {
            Expr::Ident(ident) => self.facts.functions.get(&ident.to_id()).cloned().into_iter().collect(),
            Expr::Member(MemberExpr { prop: MemberProp::Ident(name), .. }) => {
                self.facts.methods.get(&name.sym).cloned().unwrap_or_default()
            }
            Expr::OptChain(chain) => match &*chain.base {
                OptChainBase::Member(MemberExpr { prop: MemberProp::Ident(name), .. }) => {
                    self.facts.methods.get(&name.sym).cloned().unwrap_or_default()
                }
                _ => vec![],
            },
            other => parameters(other).into_iter().collect(),
        }
    }

    fn call(&mut self, callee: &Expr, arguments: &[ExprOrSpread]) {
        if let Expr::Member(member) = unwrapped(callee)
            && self.scope.global_name(&member.obj) == Some("console")
        {
            for argument in arguments {
                self.follow(&argument.expr);
            }
        }
        let targets = self.targets(callee);
        self.pass(arguments, &targets);
    }

    /// Parameters of a function: an environment may come in through each.
    fn bind_parameters<'p>(&mut self, patterns: impl Iterator<Item = &'p Pat>, callers_known: bool) {
        for pattern in patterns {
            let ident = match pattern {
                Pat::Ident(ident) => Some(ident),
                Pat::Assign(assign) => assign.left.as_ident(),
                _ => None,
            };
            // Whoever calls it means what the name says, unless all callers are seen to pass something else.
            let named = ident.is_some_and(|ident| &*ident.sym == FUNCTIONS) && !callers_known;
            self.bind(pattern, if named { Value::Functions } else { Value::Unknown });
        }
    }
}

const fn inner(value: Value) -> Value {
    match value {
        Value::Functions | Value::Unknown => Value::Unknown,
        Value::Elsewhere => Value::Elsewhere,
    }
}

const fn is_choice(op: BinaryOp) -> bool {
    matches!(op, BinaryOp::LogicalOr | BinaryOp::LogicalAnd | BinaryOp::NullishCoalescing)
}

impl Visit for Flow<'_> {
    noop_visit_type!();

    fn visit_expr(&mut self, expression: &Expr) {
        let place = matches!(expression, Expr::Ident(_) | Expr::Member(_) | Expr::OptChain(_));
        if place
            && self.report.is_some()
            && self.is_functions(expression)
            && !self.followed.contains(&expression.span())
        {
            self.escape(expression.span());
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
        let stored = self.stored;
        declarator.init.visit_with(self);
        if let Some(init) = &declarator.init {
            if self.stored > stored
                && let Pat::Ident(ident) = &declarator.name
            {
                self.facts.elsewhere.remove(&ident.to_id());
            }
            self.follow(init);
            let value = self.value_of(init);
            self.bind(&declarator.name, value);
            // A part of the event is no environment under another name either.
            if value == Value::Elsewhere
                && let Pat::Ident(ident) = &declarator.name
                && !self.fields.iter().any(|field| **field != *FUNCTIONS)
            {
                self.facts.elsewhere.insert(ident.to_id());
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
                    if value == Value::Functions {
                        self.variables.insert(ident.to_id());
                    }
                }
                AssignTarget::Simple(SimpleAssignTarget::Member(member)) if value == Value::Functions => {
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
                            self.mark(value);
                        }
                        name
                    }
                    _ => None,
                },
                PropOrSpread::Spread(spread) => {
                    if !self.is_elsewhere(&spread.expr) {
                        self.stored += 1;
                    }
                    None
                }
            };
            if let Some(name) = name {
                self.stored += 1;
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
        let known = !self.facts.passed_on.contains(&declaration.ident.to_id());
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
                self.bind(&declarator.name, Value::Unknown);
            }
        }
        statement.visit_children_with(self);
    }

    /// Names are only listed here; calling one is a computed access.
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
