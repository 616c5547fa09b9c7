//! The top level of a text: what it declares, what it exports, and what may be the entry function.

use super::Wrapper;
use crate::{
    diagnostic::Finding,
    packages::{self, Linked},
    rule,
};
use swc_common::{DUMMY_SP, Span, SyntaxContext};
use swc_ecma_ast::{
    BindingIdent, Decl, DefaultDecl, ExportSpecifier, Expr, FnDecl, FnExpr, Ident, ModuleDecl,
    ModuleExportName, ModuleItem, Pat, Program, ReturnStmt, Stmt, VarDecl, VarDeclKind, VarDeclarator,
};
use swc_ecma_visit::{Visit, VisitWith};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Function,
    /// May turn out to be a function when it is evaluated.
    Computed,
    Other,
}

/// Something at the top level that may be the entry function.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub(super) name: String,
    pub(super) ident: Ident,
    pub(super) span: Span,
    pub(super) kind: Kind,
    /// False for `export default main`, which only names a declaration.
    pub(super) declares: bool,
}

impl Candidate {
    pub(super) const fn is_function(&self) -> bool {
        matches!(self.kind, Kind::Function)
    }

    pub(super) fn checked(&self, expected: &str) -> Result<Ident, Finding> {
        match self.kind {
            Kind::Function | Kind::Computed => Ok(self.ident.clone()),
            Kind::Other => Err(Finding::error(
                rule::ENTRY_POINT,
                self.span,
                format!("`{expected}` is not a function. Expected `async function {expected}(…) {{ … }}`."),
            )),
        }
    }
}

/// The top level of a program, without its exports.
pub(super) struct TopLevel {
    /// Every name declared at the top level, in order.
    pub(super) named: Vec<Candidate>,
    /// The default export, and what is exported under the name `main` or `default`.
    pub(super) default: Vec<Candidate>,
    pub(super) is_module: bool,
    /// The variable that holds the bundle of packages, if anything comes out of it.
    packages: Option<String>,
    /// Something other than declarations and directives stands at the top level.
    pub(super) has_statements: bool,
}

impl TopLevel {
    /// Turns exports into plain declarations and notes what they name.
    pub(super) fn flatten(program: &mut Program, linked: &Linked) -> Self {
        let packages = (!linked.imports.is_empty())
            .then(|| fresh_name(program, "$packages"))
            .filter(|variable| packages::bind(program, linked, variable));
        let is_module = packages.is_some();
        let mut top_level =
            Self { named: vec![], default: vec![], is_module, packages, has_statements: false };
        // Only a default export may have no name.
        let anonymous = if has_default_export(program) { fresh_name(program, "main") } else { String::new() };
        match program {
            Program::Script(script) => {
                script.body.iter().for_each(|statement| top_level.note(statement));
            }
            Program::Module(module) => {
                let items = std::mem::take(&mut module.body);
                let mut exported = Vec::new();
                for item in items {
                    match item {
                        ModuleItem::ModuleDecl(declaration) => {
                            if let Some(item) =
                                top_level.unwrap_export(declaration, &anonymous, &mut exported)
                            {
                                module.body.push(item);
                            }
                        }
                        ModuleItem::Stmt(statement) => {
                            top_level.note(&statement);
                            module.body.push(ModuleItem::Stmt(statement));
                        }
                    }
                }
                for (ident, span) in exported {
                    top_level.name_default(&ident, span);
                }
            }
        }
        top_level
    }

    fn unwrap_export(
        &mut self,
        declaration: ModuleDecl,
        anonymous: &str,
        exported: &mut Vec<(Ident, Span)>,
    ) -> Option<ModuleItem> {
        self.is_module |= !matches!(declaration, ModuleDecl::TsImportEquals(_));
        let statement = match declaration {
            ModuleDecl::ExportDecl(export) => Stmt::Decl(export.decl),
            ModuleDecl::ExportDefaultDecl(export) => {
                let span = export.span;
                match export.decl {
                    DefaultDecl::Fn(FnExpr { ident: Some(ident), function }) => {
                        exported.push((ident.clone(), span));
                        Stmt::Decl(Decl::Fn(FnDecl { ident, declare: false, function }))
                    }
                    DefaultDecl::Fn(function) => {
                        let value = Box::new(Expr::Fn(function));
                        return Some(self.bind_default(anonymous, span, value, Kind::Function));
                    }
                    DefaultDecl::Class(class) => {
                        return Some(self.bind_default(
                            anonymous,
                            span,
                            Box::new(Expr::Class(class)),
                            Kind::Other,
                        ));
                    }
                    DefaultDecl::TsInterfaceDecl(interface) => Stmt::Decl(Decl::TsInterface(interface)),
                }
            }
            ModuleDecl::ExportDefaultExpr(export) => {
                if let Expr::Ident(ident) = &*export.expr {
                    exported.push((ident.clone(), export.span));
                    return None;
                }
                let kind = kind_of(&export.expr);
                return Some(self.bind_default(anonymous, export.span, export.expr, kind));
            }
            ModuleDecl::ExportNamed(export) if export.src.is_none() => {
                for specifier in &export.specifiers {
                    if let ExportSpecifier::Named(named) = specifier
                        && let ModuleExportName::Ident(local) = &named.orig
                    {
                        let public = named.exported.as_ref().unwrap_or(&named.orig);
                        if matches!(public.atom().as_str(), "main" | "default")
                            && !named.is_type_only
                            && !export.type_only
                        {
                            exported.push((local.clone(), named.span));
                        }
                    }
                }
                return None;
            }
            // Reported by the lint for modules where it isn't only about types.
            other => return Some(ModuleItem::ModuleDecl(other)),
        };
        self.note(&statement);
        Some(ModuleItem::Stmt(statement))
    }

    /// Gives a default export a name of our own, which no identifier of the text equals.
    fn bind_default(&mut self, name: &str, span: Span, value: Box<Expr>, kind: Kind) -> ModuleItem {
        let ident = Ident::new(name.into(), DUMMY_SP, SyntaxContext::empty());
        self.default.push(Candidate {
            name: "default".to_owned(),
            ident: ident.clone(),
            span,
            kind,
            declares: true,
        });
        ModuleItem::Stmt(Stmt::Decl(Decl::Var(Box::new(VarDecl {
            kind: VarDeclKind::Const,
            decls: vec![VarDeclarator {
                span: DUMMY_SP,
                name: Pat::Ident(BindingIdent { id: ident, type_ann: None }),
                init: Some(value),
                definite: false,
            }],
            ..VarDecl::default()
        }))))
    }

    fn name_default(&mut self, ident: &Ident, span: Span) {
        let declared = self.named.iter().find(|candidate| candidate.ident.to_id() == ident.to_id());
        let kind = declared.map_or(Kind::Computed, |candidate| candidate.kind);
        let name = if &*ident.sym == "main" { "main" } else { "default" };
        self.default.push(Candidate {
            name: name.to_owned(),
            ident: ident.clone(),
            span,
            kind,
            declares: false,
        });
    }

    fn note(&mut self, statement: &Stmt) {
        let mut add = |ident: &Ident, kind| {
            self.named.push(Candidate {
                name: ident.sym.to_string(),
                ident: ident.clone(),
                span: ident.span,
                kind,
                declares: true,
            });
        };
        match statement {
            Stmt::Decl(Decl::Fn(function)) if function.function.body.is_some() && !function.declare => {
                add(&function.ident, Kind::Function);
            }
            Stmt::Decl(Decl::Class(class)) if !class.declare => add(&class.ident, Kind::Other),
            Stmt::Decl(Decl::TsEnum(declaration)) if !declaration.declare => {
                add(&declaration.id, Kind::Other);
            }
            Stmt::Decl(Decl::Var(variables)) if !variables.declare => {
                for declarator in &variables.decls {
                    match &declarator.name {
                        Pat::Ident(ident) => {
                            let kind = declarator.init.as_ref().map_or(Kind::Computed, |init| kind_of(init));
                            add(ident, kind);
                        }
                        pattern => {
                            for ident in bindings(pattern) {
                                add(&ident, Kind::Computed);
                            }
                        }
                    }
                }
            }
            Stmt::Decl(_) | Stmt::Empty(_) => {}
            statement if is_directive(statement) => {}
            _ => self.has_statements = true,
        }
    }

    pub(super) fn returning(&self, program: &mut Program, entry: Ident, linked: &Linked) -> Wrapper {
        let entry = Ident { span: DUMMY_SP, ..entry };
        let statement = Stmt::Return(ReturnStmt { span: DUMMY_SP, arg: Some(Box::new(Expr::Ident(entry))) });
        match program {
            Program::Script(script) => script.body.push(statement),
            Program::Module(module) => module.body.push(ModuleItem::Stmt(statement)),
        }
        let wrapper = Wrapper::returning(self.is_module);
        match &self.packages {
            Some(variable) => wrapper.with_packages(variable, &linked.code),
            None => wrapper,
        }
    }
}

fn has_default_export(program: &Program) -> bool {
    let Program::Module(module) = program else { return false };
    module.body.iter().any(|item| {
        use ModuleDecl::{ExportDefaultDecl, ExportDefaultExpr};
        matches!(item, ModuleItem::ModuleDecl(ExportDefaultDecl(_) | ExportDefaultExpr(_)))
    })
}

fn is_directive(statement: &Stmt) -> bool {
    matches!(statement, Stmt::Expr(expression) if matches!(&*expression.expr, Expr::Lit(swc_ecma_ast::Lit::Str(_))))
}

/// What an expression will be, as far as its outermost syntax tells.
pub(super) fn kind_of(expression: &Expr) -> Kind {
    match expression {
        Expr::Fn(_) | Expr::Arrow(_) => Kind::Function,
        Expr::Paren(inner) => kind_of(&inner.expr),
        Expr::TsAs(inner) => kind_of(&inner.expr),
        Expr::TsSatisfies(inner) => kind_of(&inner.expr),
        Expr::TsTypeAssertion(inner) => kind_of(&inner.expr),
        Expr::TsConstAssertion(inner) => kind_of(&inner.expr),
        Expr::TsNonNull(inner) => kind_of(&inner.expr),
        Expr::Lit(_) | Expr::Object(_) | Expr::Array(_) | Expr::Class(_) | Expr::Tpl(_) | Expr::New(_) => {
            Kind::Other
        }
        _ => Kind::Computed,
    }
}

/// The identifiers a pattern binds.
fn bindings(pattern: &Pat) -> Vec<Ident> {
    struct Bindings(Vec<Ident>);
    impl Visit for Bindings {
        fn visit_binding_ident(&mut self, ident: &BindingIdent) {
            self.0.push(ident.id.clone());
        }
        fn visit_expr(&mut self, _: &Expr) {}
    }
    let mut bindings = Bindings(vec![]);
    pattern.visit_with(&mut bindings);
    bindings.0
}

/// A name that no identifier of the program has: `wanted` if it is free, for readable stack traces.
fn fresh_name(program: &Program, wanted: &str) -> String {
    struct Taken<'a> {
        name: &'a str,
        found: bool,
    }
    impl Visit for Taken<'_> {
        fn visit_ident(&mut self, ident: &Ident) {
            self.found |= &*ident.sym == self.name;
        }
    }
    let mut name = wanted.to_owned();
    loop {
        let mut taken = Taken { name: &name, found: false };
        program.visit_with(&mut taken);
        if !taken.found {
            return name;
        }
        name.push('_');
    }
}
