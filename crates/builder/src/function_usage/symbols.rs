//! Symbols collected before `Functions` is followed: parameters of the text's own functions, constant strings, and
//! variables that certainly hold something else.

use super::FUNCTIONS;
use crate::scope::{bound_identifiers, property_name, unwrapped};
use rustc_hash::{FxHashMap, FxHashSet};
use swc_atoms::Atom;
use swc_ecma_ast::{
    BinaryOp, BindingIdent, CallExpr, Callee, Class, ClassDecl, ClassMember, Expr, FnDecl, FnExpr, ForHead,
    ForOfStmt, Id, Ident, KeyValueProp, Lit, MethodProp, NewExpr, Param, ParamOrTsParamProp, Pat, Program,
    Stmt, TsParamPropParam, VarDeclKind, VarDeclarator,
};
use swc_ecma_visit::{Visit, VisitWith, noop_visit_type};

/// Maximum number of constant strings of one expression. Lists written by hand are shorter.
const MAX_TEXTS: usize = 256;

#[derive(Default)]
pub(super) struct Symbols {
    /// Parameters of functions and constructors, by the variable that holds the function or class.
    pub(super) functions: FxHashMap<Id, Vec<Pat>>,
    /// Parameters of methods, by the method's name, which several classes may share.
    pub(super) methods: FxHashMap<Atom, Vec<Vec<Pat>>>,
    /// Functions that are used as values and not only called, so that their callers are unknown. Collected only for
    /// texts with a function that has a parameter named `Functions`; not needed for others.
    pub(super) used_as_values: FxHashSet<Id>,
    has_functions_parameter: bool,
    /// Constant strings that a `const` may hold.
    texts: FxHashMap<Id, Vec<String>>,
    /// Variables that hold a literal or the event, and so not the environment.
    pub(super) unrelated: FxHashSet<Id>,
}

impl Symbols {
    pub(super) fn of(program: &Program) -> Self {
        let mut symbols = Self::default();
        program.visit_with(&mut symbols);
        if symbols.has_functions_parameter {
            program.visit_with(&mut ValueUses(&mut symbols.used_as_values));
        }
        if let Some(entry) = entry(program)
            && let Some(input) = symbols.functions.get(&entry).and_then(|parameters| parameters.first())
            && !input.is_rest()
        {
            symbols.unrelated.extend(bound_identifiers(input).iter().map(Ident::to_id));
        }
        symbols
    }

    /// Lists every string that the expression can evaluate to, if they are known.
    pub(super) fn texts(&self, expression: &Expr) -> Option<Vec<String>> {
        let both = |a: &Expr, b: &Expr| {
            let mut texts = self.texts(a)?;
            texts.extend(self.texts(b)?);
            (texts.len() <= MAX_TEXTS).then_some(texts)
        };
        match unwrapped(expression) {
            Expr::Lit(Lit::Str(text)) => Some(vec![text.value.as_str()?.to_owned()]),
            Expr::Tpl(template) => {
                let mut texts = vec![String::new()];
                for (index, quasi) in template.quasis.iter().enumerate() {
                    let cooked = quasi.cooked.as_ref()?.as_str()?;
                    for text in &mut texts {
                        text.push_str(cooked);
                    }
                    if let Some(inner) = template.exprs.get(index) {
                        texts = joined(&texts, &self.texts(inner)?)?;
                    }
                }
                Some(texts)
            }
            Expr::Ident(ident) => self.texts.get(&ident.to_id()).cloned(),
            Expr::Cond(conditional) => both(&conditional.cons, &conditional.alt),
            Expr::Bin(binary) => match binary.op {
                BinaryOp::LogicalOr | BinaryOp::LogicalAnd | BinaryOp::NullishCoalescing => {
                    both(&binary.left, &binary.right)
                }
                BinaryOp::Add => joined(&self.texts(&binary.left)?, &self.texts(&binary.right)?),
                _ => None,
            },
            _ => None,
        }
    }

    fn add_function(&mut self, ident: &Ident, parameters: Vec<Pat>) {
        self.functions.insert(ident.to_id(), parameters);
    }

    fn add_method(&mut self, name: Option<&str>, parameters: Vec<Pat>) {
        if let Some(name) = name {
            self.methods.entry(name.into()).or_default().push(parameters);
        }
    }
}

fn joined(starts: &[String], ends: &[String]) -> Option<Vec<String>> {
    (starts.len() * ends.len() <= MAX_TEXTS).then(|| {
        starts.iter().flat_map(|start| ends.iter().map(move |end| format!("{start}{end}"))).collect()
    })
}

/// Variable that the wrapped text returns at its end: the entry function.
fn entry(program: &Program) -> Option<Id> {
    let last = match program {
        Program::Script(script) => script.body.last()?,
        Program::Module(module) => module.body.last()?.as_stmt()?,
    };
    match last {
        Stmt::Return(statement) => statement.arg.as_ref()?.as_ident().map(Ident::to_id),
        _ => None,
    }
}

pub(super) fn patterns(parameters: &[Param]) -> Vec<Pat> {
    parameters.iter().map(|parameter| untyped(&parameter.pat)).collect()
}

/// Copies a pattern. Omits the type of a plain name, which may be large.
fn untyped(pattern: &Pat) -> Pat {
    match pattern {
        Pat::Ident(ident) => Pat::Ident(BindingIdent { id: ident.id.clone(), type_ann: None }),
        other => other.clone(),
    }
}

/// Variable of a parameter that is a plain name, with or without a default.
pub(super) fn parameter_name(parameter: &Pat) -> Option<&Ident> {
    match parameter {
        Pat::Ident(ident) => Some(ident),
        Pat::Assign(assign) => assign.left.as_ident().map(|ident| &ident.id),
        _ => None,
    }
}

/// Parameters of an expression that is a function or a class with a constructor.
pub(super) fn parameters(expression: &Expr) -> Option<Vec<Pat>> {
    match unwrapped(expression) {
        Expr::Fn(FnExpr { function, .. }) => Some(patterns(&function.params)),
        Expr::Arrow(arrow) => Some(arrow.params.iter().map(untyped).collect()),
        Expr::Class(class) => constructor(&class.class),
        _ => None,
    }
}

fn constructor(class: &Class) -> Option<Vec<Pat>> {
    class.body.iter().find_map(|member| match member {
        ClassMember::Constructor(constructor) if constructor.body.is_some() => {
            Some(constructor.params.iter().map(constructor_parameter).collect())
        }
        _ => None,
    })
}

fn constructor_parameter(parameter: &ParamOrTsParamProp) -> Pat {
    match parameter {
        ParamOrTsParamProp::Param(parameter) => parameter.pat.clone(),
        ParamOrTsParamProp::TsParamProp(property) => match &property.param {
            TsParamPropParam::Ident(ident) => Pat::Ident(ident.clone()),
            TsParamPropParam::Assign(assign) => Pat::Assign(assign.clone()),
        },
    }
}

impl Visit for Symbols {
    noop_visit_type!();

    fn visit_fn_decl(&mut self, declaration: &FnDecl) {
        let parameters = &declaration.function.params;
        self.has_functions_parameter |= parameters
            .iter()
            .any(|parameter| parameter_name(&parameter.pat).is_some_and(|ident| &*ident.sym == FUNCTIONS));
        self.add_function(&declaration.ident, patterns(parameters));
        declaration.function.visit_with(self);
    }

    fn visit_class_decl(&mut self, declaration: &ClassDecl) {
        if let Some(parameters) = constructor(&declaration.class) {
            self.add_function(&declaration.ident, parameters);
        }
        declaration.class.visit_with(self);
    }

    fn visit_var_declarator(&mut self, declarator: &VarDeclarator) {
        if let (Pat::Ident(ident), Some(init)) = (&declarator.name, &declarator.init) {
            if let Some(parameters) = parameters(init) {
                self.add_function(ident, parameters);
            }
            if matches!(unwrapped(init), Expr::Object(_) | Expr::Array(_) | Expr::Lit(_) | Expr::Tpl(_)) {
                self.unrelated.insert(ident.to_id());
            }
        }
        declarator.name.visit_with(self);
        declarator.init.visit_with(self);
    }

    fn visit_var_decl(&mut self, declaration: &swc_ecma_ast::VarDecl) {
        declaration.visit_children_with(self);
        if declaration.kind != VarDeclKind::Const {
            return;
        }
        for declarator in &declaration.decls {
            if let (Pat::Ident(ident), Some(init)) = (&declarator.name, &declarator.init)
                && let Some(texts) = self.texts(init)
            {
                self.texts.insert(ident.to_id(), texts);
            }
        }
    }

    /// Records the constant strings of `for (const name of ["a", "b"])`.
    fn visit_for_of_stmt(&mut self, statement: &ForOfStmt) {
        if let ForHead::VarDecl(declaration) = &statement.left
            && declaration.kind == VarDeclKind::Const
            && let [VarDeclarator { name: Pat::Ident(ident), .. }] = declaration.decls.as_slice()
            && let Expr::Array(list) = unwrapped(&statement.right)
        {
            let texts = list.elems.iter().map(|element| {
                let element = element.as_ref().filter(|element| element.spread.is_none())?;
                self.texts(&element.expr)
            });
            if let Some(texts) = texts.collect::<Option<Vec<_>>>() {
                self.texts.insert(ident.to_id(), texts.concat());
            }
        }
        statement.visit_children_with(self);
    }

    fn visit_method_prop(&mut self, method: &MethodProp) {
        self.add_method(property_name(&method.key), patterns(&method.function.params));
        method.visit_children_with(self);
    }

    fn visit_key_value_prop(&mut self, property: &KeyValueProp) {
        if let Some(parameters) = parameters(&property.value) {
            self.add_method(property_name(&property.key), parameters);
        }
        property.visit_children_with(self);
    }

    fn visit_class_member(&mut self, member: &ClassMember) {
        match member {
            ClassMember::Method(method) => {
                self.add_method(property_name(&method.key), patterns(&method.function.params));
            }
            ClassMember::ClassProp(property) => {
                if let Some(parameters) = property.value.as_deref().and_then(parameters) {
                    self.add_method(property_name(&property.key), parameters);
                }
            }
            _ => {}
        }
        member.visit_children_with(self);
    }
}

/// Collector of identifiers that are read and not called.
struct ValueUses<'a>(&'a mut FxHashSet<Id>);

impl Visit for ValueUses<'_> {
    noop_visit_type!();

    fn visit_call_expr(&mut self, call: &CallExpr) {
        match &call.callee {
            Callee::Expr(callee) if unwrapped(callee).is_ident() => {}
            callee => callee.visit_with(self),
        }
        call.args.visit_with(self);
    }

    fn visit_new_expr(&mut self, new: &NewExpr) {
        if !unwrapped(&new.callee).is_ident() {
            new.callee.visit_with(self);
        }
        new.args.visit_with(self);
    }

    fn visit_expr(&mut self, expression: &Expr) {
        if let Expr::Ident(ident) = expression {
            self.0.insert(ident.to_id());
        }
        expression.visit_children_with(self);
    }
}
