//! Top level of a text: its declarations, its exports, and the candidates for the entry function.

use super::Wrapper;
use crate::{
    diagnostic::Finding,
    packages::{self, BundledImports},
    rule,
    scope::bound_identifiers,
};
use swc_common::{DUMMY_SP, Span, SyntaxContext};
use swc_ecma_ast::{
    BindingIdent, Decl, DefaultDecl, ExportDefaultDecl, ExportSpecifier, Expr, FnDecl, FnExpr, Ident,
    ModuleDecl, ModuleExportName, ModuleItem, NamedExport, Pat, Program, ReturnStmt, Stmt, VarDecl,
    VarDeclKind, VarDeclarator,
};
use swc_ecma_visit::{Visit, VisitWith};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CandidateKind {
    Function,
    /// May evaluate to a function.
    Computed,
    Other,
}

/// Candidate for the entry function at the top level.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub(super) name: String,
    pub(super) ident: Ident,
    pub(super) span: Span,
    pub(super) kind: CandidateKind,
    /// Set unless this is `export default main`, which only refers to a declaration.
    pub(super) declares: bool,
}

impl Candidate {
    pub(super) const fn is_function(&self) -> bool {
        matches!(self.kind, CandidateKind::Function)
    }

    pub(super) fn checked(&self, expected: &str) -> Result<Ident, Finding> {
        match self.kind {
            CandidateKind::Function | CandidateKind::Computed => Ok(self.ident.clone()),
            CandidateKind::Other => Err(Finding::error(
                rule::ENTRY_POINT,
                self.span,
                format!("`{expected}` is not a function. Expected `async function {expected}(…) {{ … }}`."),
            )),
        }
    }
}

/// Top level of a program, without its exports.
pub(super) struct TopLevel {
    /// Names declared at the top level, in order.
    pub(super) named: Vec<Candidate>,
    /// The default export, and exports named `main` or `default`.
    pub(super) default: Vec<Candidate>,
    pub(super) is_module: bool,
    /// Variable that holds the bundle of packages, if the text uses any.
    packages: Option<String>,
    /// The top level has statements other than declarations and directives.
    pub(super) has_statements: bool,
}

impl TopLevel {
    /// Turns exports into plain declarations and records the exported names.
    pub(super) fn flatten(program: &mut Program, bundled: &BundledImports) -> Self {
        let packages = (!bundled.imports.is_empty())
            .then(|| fresh_name(program, "$packages"))
            .filter(|variable| packages::bind(program, bundled, variable));
        let is_module = packages.is_some();
        let mut top_level =
            Self { named: vec![], default: vec![], is_module, packages, has_statements: false };
        // Only a default export may be anonymous.
        let anonymous = if has_default_export(program) { fresh_name(program, "main") } else { String::new() };
        match program {
            Program::Script(script) => {
                script.body.iter().for_each(|statement| top_level.collect(statement));
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
                            top_level.collect(&statement);
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

    /// Turns an export into a plain declaration. `None` if it only refers to declarations.
    fn unwrap_export(
        &mut self,
        declaration: ModuleDecl,
        anonymous: &str,
        exported: &mut Vec<(Ident, Span)>,
    ) -> Option<ModuleItem> {
        self.is_module |= !matches!(declaration, ModuleDecl::TsImportEquals(_));
        match declaration {
            ModuleDecl::ExportDecl(export) => Some(self.declaration(export.decl)),
            ModuleDecl::ExportDefaultDecl(export) => {
                Some(self.default_declaration(export, anonymous, exported))
            }
            ModuleDecl::ExportDefaultExpr(export) => {
                if let Expr::Ident(ident) = &*export.expr {
                    exported.push((ident.clone(), export.span));
                    return None;
                }
                let kind = kind_of(&export.expr);
                Some(self.bind_default(anonymous, export.span, export.expr, kind))
            }
            ModuleDecl::ExportNamed(export) if export.src.is_none() => {
                exported.extend(exports_of_entry(&export));
                None
            }
            // The lint rule `module-system` reports these, except imports and exports of types only.
            other => Some(ModuleItem::ModuleDecl(other)),
        }
    }

    fn declaration(&mut self, declaration: Decl) -> ModuleItem {
        let statement = Stmt::Decl(declaration);
        self.collect(&statement);
        ModuleItem::Stmt(statement)
    }

    fn default_declaration(
        &mut self,
        export: ExportDefaultDecl,
        anonymous: &str,
        exported: &mut Vec<(Ident, Span)>,
    ) -> ModuleItem {
        let span = export.span;
        match export.decl {
            DefaultDecl::Fn(FnExpr { ident: Some(ident), function }) => {
                exported.push((ident.clone(), span));
                self.declaration(Decl::Fn(FnDecl { ident, declare: false, function }))
            }
            DefaultDecl::Fn(function) => {
                self.bind_default(anonymous, span, Box::new(Expr::Fn(function)), CandidateKind::Function)
            }
            DefaultDecl::Class(class) => {
                self.bind_default(anonymous, span, Box::new(Expr::Class(class)), CandidateKind::Other)
            }
            DefaultDecl::TsInterfaceDecl(interface) => self.declaration(Decl::TsInterface(interface)),
        }
    }

    /// Binds a default export to a generated name that no identifier of the text equals.
    fn bind_default(&mut self, name: &str, span: Span, value: Box<Expr>, kind: CandidateKind) -> ModuleItem {
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
        let kind = declared.map_or(CandidateKind::Computed, |candidate| candidate.kind);
        let name = if &*ident.sym == "main" { "main" } else { "default" };
        self.default.push(Candidate {
            name: name.to_owned(),
            ident: ident.clone(),
            span,
            kind,
            declares: false,
        });
    }

    fn collect(&mut self, statement: &Stmt) {
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
                add(&function.ident, CandidateKind::Function);
            }
            Stmt::Decl(Decl::Class(class)) if !class.declare => add(&class.ident, CandidateKind::Other),
            Stmt::Decl(Decl::TsEnum(declaration)) if !declaration.declare => {
                add(&declaration.id, CandidateKind::Other);
            }
            Stmt::Decl(Decl::Var(variables)) if !variables.declare => {
                for declarator in &variables.decls {
                    match &declarator.name {
                        Pat::Ident(ident) => {
                            let kind = declarator
                                .init
                                .as_ref()
                                .map_or(CandidateKind::Computed, |init| kind_of(init));
                            add(ident, kind);
                        }
                        pattern => {
                            for ident in bound_identifiers(pattern) {
                                add(&ident, CandidateKind::Computed);
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

    pub(super) fn returning(&self, program: &mut Program, entry: Ident, bundled: &BundledImports) -> Wrapper {
        let entry = Ident { span: DUMMY_SP, ..entry };
        let statement = Stmt::Return(ReturnStmt { span: DUMMY_SP, arg: Some(Box::new(Expr::Ident(entry))) });
        match program {
            Program::Script(script) => script.body.push(statement),
            Program::Module(module) => module.body.push(ModuleItem::Stmt(statement)),
        }
        let wrapper = Wrapper::returning(self.is_module);
        match &self.packages {
            Some(variable) => wrapper.with_packages(variable, &bundled.code),
            None => wrapper,
        }
    }
}

/// Lists the variables that are exported under the name `main` or `default`.
fn exports_of_entry(export: &NamedExport) -> Vec<(Ident, Span)> {
    if export.type_only {
        return Vec::new();
    }
    let exported = |specifier: &ExportSpecifier| {
        let ExportSpecifier::Named(named) = specifier else { return None };
        let ModuleExportName::Ident(local) = &named.orig else { return None };
        let public = named.exported.as_ref().unwrap_or(&named.orig);
        let is_entry = matches!(public.atom().as_str(), "main" | "default") && !named.is_type_only;
        is_entry.then(|| (local.clone(), named.span))
    };
    export.specifiers.iter().filter_map(exported).collect()
}

fn has_default_export(program: &Program) -> bool {
    let Program::Module(module) = program else { return false };
    module.body.iter().any(|item| {
        matches!(
            item,
            ModuleItem::ModuleDecl(ModuleDecl::ExportDefaultDecl(_) | ModuleDecl::ExportDefaultExpr(_))
        )
    })
}

fn is_directive(statement: &Stmt) -> bool {
    matches!(statement, Stmt::Expr(expression) if matches!(&*expression.expr, Expr::Lit(swc_ecma_ast::Lit::Str(_))))
}

/// Classifies an expression by its outermost syntax.
pub(super) fn kind_of(expression: &Expr) -> CandidateKind {
    match expression {
        Expr::Fn(_) | Expr::Arrow(_) => CandidateKind::Function,
        Expr::Paren(inner) => kind_of(&inner.expr),
        Expr::TsAs(inner) => kind_of(&inner.expr),
        Expr::TsSatisfies(inner) => kind_of(&inner.expr),
        Expr::TsTypeAssertion(inner) => kind_of(&inner.expr),
        Expr::TsConstAssertion(inner) => kind_of(&inner.expr),
        Expr::TsNonNull(inner) => kind_of(&inner.expr),
        Expr::Lit(_) | Expr::Object(_) | Expr::Array(_) | Expr::Class(_) | Expr::Tpl(_) | Expr::New(_) => {
            CandidateKind::Other
        }
        _ => CandidateKind::Computed,
    }
}

/// Returns a name that no identifier of the program has: `wanted` if it is free, for readable stack traces.
fn fresh_name(program: &Program, wanted: &str) -> String {
    struct NameSearch<'a> {
        name: &'a str,
        found: bool,
    }
    impl Visit for NameSearch<'_> {
        fn visit_ident(&mut self, ident: &Ident) {
            self.found |= &*ident.sym == self.name;
        }
    }
    let mut name = wanted.to_owned();
    loop {
        let mut taken = NameSearch { name: &name, found: false };
        program.visit_with(&mut taken);
        if !taken.found {
            return name;
        }
        name.push('_');
    }
}
