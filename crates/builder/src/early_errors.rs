//! Early errors of ECMAScript that swc's parser does not report.
//!
//! Without these checks, a text would be saved and every run of it would fail at compilation in V8. The contents of
//! regular expressions are not checked.

mod escaped_names;
mod property_names;

use crate::{diagnostic::Finding, rule, scope::bound_identifiers};
use rustc_hash::{FxHashMap, FxHashSet};
use swc_atoms::Atom;
use swc_common::Span;
use swc_ecma_ast::{
    ArrowExpr, ArrowFunctionBody, BlockStmt, CatchClause, Class, ClassMember, Constructor, Decl, ForInStmt,
    ForOfStmt, ForStmt, Function, GetterProp, Ident, Key, MethodKind, MethodProp, Param, Pat, PrivateName,
    Program, SetterProp, Stmt, Str, Super, SwitchStmt, TsModuleBlock, TsModuleDecl, VarDecl, VarDeclKind,
};
use swc_ecma_visit::{Visit, VisitWith, noop_visit_type};

/// Reports all early errors of a program, in no particular order.
pub(super) fn check(program: &Program, text: &str) -> Vec<Finding> {
    let mut checker = Checker { scopes: vec![DeclarationScope::of_function()], ..Checker::default() };
    program.visit_children_with(&mut checker);
    checker.findings.extend(property_names::check(program));
    if text.contains("\\u") {
        checker.findings.extend(escaped_names::check(program));
    }
    checker.findings
}

#[derive(Default)]
struct DeclarationScope {
    /// Names that may be declared only once, and whether each is a function of a block, which may be repeated.
    lexical: FxHashMap<Atom, bool>,
    /// Names of `var` declarations in this scope and in nested blocks.
    vars: FxHashSet<Atom>,
    is_function: bool,
    /// Scope of a simple catch parameter, which `var` may repeat.
    is_catch: bool,
}

impl DeclarationScope {
    fn of_function() -> Self {
        Self { is_function: true, ..Self::default() }
    }
}

#[derive(Default)]
struct Checker {
    scopes: Vec<DeclarationScope>,
    /// Private names of the enclosing classes.
    private: Vec<FxHashSet<Atom>>,
    in_method: bool,
    findings: Vec<Finding>,
}

impl Checker {
    fn report(&mut self, span: Span, message: String) {
        self.findings.push(Finding::error(rule::SYNTAX, span, message));
    }

    fn within(&mut self, scope: DeclarationScope, visit: impl FnOnce(&mut Self)) {
        self.scopes.push(scope);
        visit(self);
        self.scopes.pop();
    }

    fn declare_lexical(&mut self, ident: &Ident, is_block_function: bool) {
        let Some(scope) = self.scopes.last_mut() else { return };
        let earlier = scope.lexical.insert(ident.sym.clone(), is_block_function);
        let repeats = earlier.is_some_and(|function| !(function && is_block_function));
        if repeats || scope.vars.contains(&ident.sym) {
            self.report(ident.span, format!("`{}` is already declared.", ident.sym));
        }
    }

    fn declare_var(&mut self, ident: &Ident) {
        let mut repeats = false;
        for scope in self.scopes.iter_mut().rev() {
            repeats |= !scope.is_catch && scope.lexical.contains_key(&ident.sym);
            scope.vars.insert(ident.sym.clone());
            if scope.is_function {
                break;
            }
        }
        if repeats {
            self.report(ident.span, format!("`{}` is already declared.", ident.sym));
        }
    }

    fn declare_pattern(&mut self, pattern: &Pat, kind: VarDeclKind) {
        for ident in bound(pattern) {
            match kind {
                VarDeclKind::Var => self.declare_var(&ident),
                VarDeclKind::Let | VarDeclKind::Const => self.declare_lexical(&ident, false),
            }
        }
    }

    /// Checks a function's parameters and body. Parameter names must not repeat if `unique`.
    fn function(&mut self, parameters: &[&Pat], unique: bool, body: impl FnOnce(&mut Self)) {
        let unique = unique || !parameters.iter().all(|pattern| pattern.is_ident());
        let mut names = FxHashSet::default();
        for ident in parameters.iter().flat_map(|pattern| bound(pattern)) {
            if !names.insert(ident.sym.clone()) && unique {
                self.report(ident.span, format!("The parameter `{}` is already declared.", ident.sym));
            }
        }
        // A `let` of a parameter's name is an error, a `var` is not.
        self.within(DeclarationScope { vars: names, ..DeclarationScope::of_function() }, |checker| {
            for pattern in parameters {
                pattern.visit_with(checker);
            }
            body(checker);
        });
    }

    fn plain_function(&mut self, function: &Function, is_method: bool) {
        let outer = std::mem::replace(&mut self.in_method, is_method);
        function.decorators.visit_with(self);
        self.function(&patterns(&function.params), is_method, |checker| {
            if let Some(body) = &function.body {
                body.stmts.visit_with(checker);
            }
        });
        self.in_method = outer;
    }

    /// Checks and opens the private names of a class. A getter and a setter may share a name.
    fn declare_private(&mut self, class: &Class) {
        let mut declared: FxHashMap<Atom, Option<MethodKind>> = FxHashMap::default();
        for member in &class.body {
            let (name, kind) = match member {
                ClassMember::PrivateMethod(method) => (&method.key, Some(method.kind)),
                ClassMember::PrivateProp(property) => (&property.key, None),
                ClassMember::AutoAccessor(accessor) => match &accessor.key {
                    Key::Private(name) => (name, None),
                    Key::Public(_) => continue,
                },
                _ => continue,
            };
            let earlier = declared.insert(name.name.clone(), kind);
            let pair = matches!(
                (earlier.flatten(), kind),
                (Some(MethodKind::Getter), Some(MethodKind::Setter))
                    | (Some(MethodKind::Setter), Some(MethodKind::Getter))
            );
            // Overloads are methods without a body.
            let overload = matches!(member, ClassMember::PrivateMethod(method) if method.function.body.is_none())
                || earlier == Some(Some(MethodKind::Method)) && kind == Some(MethodKind::Method);
            if earlier.is_some() && !pair && !overload {
                self.report(name.span, format!("`#{}` is already declared.", name.name));
            }
        }
        self.private.push(declared.into_keys().collect());
    }
}

fn patterns(parameters: &[Param]) -> Vec<&Pat> {
    parameters.iter().map(|parameter| &parameter.pat).collect()
}

/// Lists the variables that a pattern binds. TypeScript's `this` parameter is a type and binds none.
fn bound(pattern: &Pat) -> Vec<Ident> {
    let mut bound = bound_identifiers(pattern);
    bound.retain(|ident| &*ident.sym != "this");
    bound
}

impl Visit for Checker {
    noop_visit_type!();

    fn visit_decl(&mut self, declaration: &Decl) {
        match declaration {
            Decl::Fn(function) if function.function.body.is_some() && !function.declare => {
                // A function declaration directly in a function is like `var`; in a block it is like `let`.
                if self.scopes.last().is_some_and(|scope| scope.is_function) {
                    self.declare_var(&function.ident);
                } else {
                    self.declare_lexical(&function.ident, true);
                }
                self.plain_function(&function.function, false);
            }
            Decl::Class(class) if !class.declare => {
                self.declare_lexical(&class.ident, false);
                class.class.visit_with(self);
            }
            Decl::Var(variables) if !variables.declare => variables.visit_with(self),
            Decl::Using(using) => {
                for declarator in &using.decls {
                    self.declare_pattern(&declarator.name, VarDeclKind::Const);
                }
                using.visit_children_with(self);
            }
            // Enums and namespaces may be declared in several parts.
            Decl::TsModule(module) => module.visit_with(self),
            _ => {}
        }
    }

    fn visit_var_decl(&mut self, variables: &VarDecl) {
        for declarator in &variables.decls {
            self.declare_pattern(&declarator.name, variables.kind);
        }
        variables.visit_children_with(self);
    }

    fn visit_ts_module_decl(&mut self, module: &TsModuleDecl) {
        if !module.declare {
            module.visit_children_with(self);
        }
    }

    fn visit_ts_module_block(&mut self, block: &TsModuleBlock) {
        self.within(DeclarationScope::of_function(), |checker| block.visit_children_with(checker));
    }

    fn visit_block_stmt(&mut self, block: &BlockStmt) {
        self.within(DeclarationScope::default(), |checker| block.visit_children_with(checker));
    }

    fn visit_switch_stmt(&mut self, statement: &SwitchStmt) {
        statement.discriminant.visit_with(self);
        self.within(DeclarationScope::default(), |checker| statement.cases.visit_with(checker));
    }

    fn visit_for_stmt(&mut self, statement: &ForStmt) {
        self.within(DeclarationScope::default(), |checker| statement.visit_children_with(checker));
    }

    fn visit_for_in_stmt(&mut self, statement: &ForInStmt) {
        self.within(DeclarationScope::default(), |checker| statement.visit_children_with(checker));
    }

    fn visit_for_of_stmt(&mut self, statement: &ForOfStmt) {
        self.within(DeclarationScope::default(), |checker| statement.visit_children_with(checker));
    }

    fn visit_catch_clause(&mut self, clause: &CatchClause) {
        let is_catch = clause.param.as_ref().is_some_and(Pat::is_ident);
        self.within(DeclarationScope { is_catch, ..DeclarationScope::default() }, |checker| {
            if let Some(parameter) = &clause.param {
                checker.declare_pattern(parameter, VarDeclKind::Let);
                parameter.visit_with(checker);
            }
            // The block's lexical declarations must not repeat the parameter.
            let names = clause.param.as_ref().map(bound).unwrap_or_default();
            for statement in &clause.body.stmts {
                if let Stmt::Decl(Decl::Var(variables)) = statement
                    && variables.kind != VarDeclKind::Var
                {
                    for ident in variables.decls.iter().flat_map(|declarator| bound(&declarator.name)) {
                        if names.iter().any(|name| name.sym == ident.sym) {
                            checker.report(ident.span, format!("`{}` is already declared.", ident.sym));
                        }
                    }
                }
            }
            clause.body.visit_with(checker);
        });
    }

    fn visit_function(&mut self, function: &Function) {
        self.plain_function(function, false);
    }

    fn visit_arrow_expr(&mut self, arrow: &ArrowExpr) {
        let parameters: Vec<&Pat> = arrow.params.iter().collect();
        self.function(&parameters, true, |checker| match &*arrow.body {
            ArrowFunctionBody::FunctionBody(body) => body.stmts.visit_with(checker),
            ArrowFunctionBody::Expr(body) => body.visit_with(checker),
        });
    }

    fn visit_method_prop(&mut self, method: &MethodProp) {
        method.key.visit_with(self);
        self.plain_function(&method.function, true);
    }

    fn visit_getter_prop(&mut self, getter: &GetterProp) {
        getter.key.visit_with(self);
        self.plain_function(&getter.function, true);
    }

    fn visit_setter_prop(&mut self, setter: &SetterProp) {
        setter.key.visit_with(self);
        self.plain_function(&setter.function, true);
    }

    fn visit_class(&mut self, class: &Class) {
        class.super_class.visit_with(self);
        class.decorators.visit_with(self);
        self.declare_private(class);
        class.body.visit_with(self);
        self.private.pop();
    }

    fn visit_class_member(&mut self, member: &ClassMember) {
        match member {
            ClassMember::Method(method) => {
                method.key.visit_with(self);
                self.plain_function(&method.function, true);
            }
            ClassMember::PrivateMethod(method) => self.plain_function(&method.function, true),
            ClassMember::StaticBlock(block) => {
                let outer = std::mem::replace(&mut self.in_method, true);
                self.within(DeclarationScope::of_function(), |checker| block.body.stmts.visit_with(checker));
                self.in_method = outer;
            }
            // Initialisers count as methods.
            ClassMember::ClassProp(_) | ClassMember::PrivateProp(_) | ClassMember::AutoAccessor(_) => {
                let outer = std::mem::replace(&mut self.in_method, true);
                member.visit_children_with(self);
                self.in_method = outer;
            }
            _ => member.visit_children_with(self),
        }
    }

    fn visit_constructor(&mut self, constructor: &Constructor) {
        let outer = std::mem::replace(&mut self.in_method, true);
        self.within(DeclarationScope::of_function(), |checker| {
            constructor.params.visit_with(checker);
            if let Some(body) = &constructor.body {
                body.stmts.visit_with(checker);
            }
        });
        self.in_method = outer;
    }

    /// Reports unterminated strings. swc's parser drops this error after a failed attempt at type arguments: `a<T>`
    /// with a quote on the next line.
    fn visit_str(&mut self, text: &Str) {
        let ends = |raw: &str| raw.len() >= 2 && raw.as_bytes().first() == raw.as_bytes().last();
        if text.raw.as_deref().is_some_and(|raw| !ends(raw)) {
            self.report(text.span, "Unterminated string constant.".to_owned());
        }
    }

    fn visit_super(&mut self, super_: &Super) {
        if !self.in_method {
            self.report(super_.span, "`super` works only in methods.".to_owned());
        }
    }

    fn visit_private_name(&mut self, name: &PrivateName) {
        if !self.private.iter().any(|declared| declared.contains(&name.name)) {
            self.report(name.span, format!("`#{}` is not declared in a class around this.", name.name));
        }
    }
}
