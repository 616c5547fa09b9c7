//! Imports of npm packages: the packages a text needs, and the bundle made of them.
//!
//! The bundle is one expression, evaluated before the text. Each import declaration becomes a `const` that destructures
//! the bundle's value, so that the author's lines keep their numbers.

use crate::{
    Unit,
    lint::is_node_module,
    nesting, parse,
    source::{Position, Source},
    with_stack,
};
use rustc_hash::FxHashSet;
use shared::execution::CodeType;
use std::collections::BTreeSet;
use swc_atoms::Atom;
use swc_common::{DUMMY_SP, SyntaxContext};
use swc_ecma_ast::{
    BindingIdent, Decl, ExportSpecifier, Expr, Ident, IdentName, ImportDecl, ImportSpecifier,
    KeyValuePatProp, ModuleDecl, ModuleExportName, ModuleItem, NamedExport, ObjectPat, ObjectPatProp, Pat,
    Program, Prop, PropName, Stmt, VarDecl, VarDeclKind, VarDeclarator,
};
use swc_ecma_visit::{Visit, VisitWith, noop_visit_type};

/// Imports of a text from one module at run time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// Specifier as the author wrote it: `lodash`, `@scope/name/part`, `date-fns@4`.
    pub module: String,
    /// Names of the imported exports, or [`Import::NAMESPACE`] for all of them. Empty for an import that only runs the
    /// module.
    pub names: BTreeSet<String>,
    /// Start of the first occurrence of the specifier.
    pub start: Position,
    pub end: Position,
}

impl Import {
    /// Marks `import * as …`.
    pub const NAMESPACE: &str = "*";
}

/// Imports of a text and the bundle made for them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BundledImports {
    /// JavaScript expression. Its value has the property [`BundledImports::property`] for each import of `imports`.
    pub code: String,
    pub imports: Vec<Import>,
}

impl BundledImports {
    /// Property of the bundle's value that holds an export.
    pub fn property(&self, module: &str, name: &str) -> Option<String> {
        let (index, import) = self.imports.iter().enumerate().find(|(_, import)| import.module == module)?;
        let position = import.names.iter().position(|known| known == name)?;
        Some(format!("m{index}_{position}"))
    }

    fn has(&self, module: &str) -> bool {
        self.imports.iter().any(|import| import.module == module)
    }
}

/// Lists the packages that a text needs at run time. Leaves out imports of types only, and specifiers that cannot name
/// a package. Empty for a text that does not parse.
pub fn imports(unit: Unit<'_>, code: &str) -> Vec<Import> {
    if unit == Unit::Script(CodeType::Raw) || !code.contains("import") {
        return Vec::new();
    }
    let source = Source::new(code);
    with_stack(|| {
        let Ok(bound) = nesting::check_text(&source.text) else { return Vec::new() };
        let Ok(tree) = parse::program(&source.text, bound) else { return Vec::new() };
        let Program::Module(module) = &tree.program else { return Vec::new() };
        let read = names_read(&tree.program);
        let mut imports: Vec<Import> = Vec::new();
        for item in &module.body {
            let ModuleItem::ModuleDecl(ModuleDecl::Import(declaration)) = item else { continue };
            let Some(name) = declaration.src.value.as_str().filter(|name| is_package(name)) else {
                continue;
            };
            let Some(bindings) = runtime_bindings(declaration, &read) else { continue };
            let names = bindings.iter().map(|(name, _)| name.clone());
            if let Some(known) = imports.iter_mut().find(|import| import.module == name) {
                known.names.extend(names);
                continue;
            }
            let offset = |at: swc_common::BytePos| at.0.saturating_sub(tree.base) as usize;
            imports.push(Import {
                module: name.to_owned(),
                names: names.collect(),
                start: source.position(offset(declaration.src.span.lo)),
                end: source.position(offset(declaration.src.span.hi)),
            });
        }
        imports
    })
}

/// Returns whether the specifier is neither a path, nor a URL, nor a module of Node.
fn is_package(module: &str) -> bool {
    !module.starts_with(['.', '/']) && !module.contains([':', '\\']) && !is_node_module(module)
}

/// Pairs `(export, local name)` of the bindings of the declaration that are read. `None` if it imports only types.
fn runtime_bindings<'d>(
    declaration: &'d ImportDecl,
    read: &FxHashSet<Atom>,
) -> Option<Vec<(String, &'d Ident)>> {
    if declaration.type_only {
        return None;
    }
    let needed: Vec<(String, &Ident)> = declaration
        .specifiers
        .iter()
        .filter(|specifier| read.contains(&specifier.local().sym))
        .filter_map(|specifier| match specifier {
            ImportSpecifier::Named(named) if named.is_type_only => None,
            ImportSpecifier::Named(named) => {
                let name = match &named.imported {
                    Some(name) => name.atom().to_string(),
                    None => named.local.sym.to_string(),
                };
                Some((name, &named.local))
            }
            ImportSpecifier::Default(default) => Some(("default".to_owned(), &default.local)),
            ImportSpecifier::Namespace(namespace) => Some((Import::NAMESPACE.to_owned(), &namespace.local)),
        })
        .collect();
    (!needed.is_empty() || declaration.specifiers.is_empty()).then_some(needed)
}

/// Replaces the import declarations of bundled packages by a first statement that destructures the variable named
/// `variable`. Returns whether there were any.
pub(super) fn bind(program: &mut Program, bundled: &BundledImports, variable: &str) -> bool {
    if bundled.imports.is_empty() {
        return false;
    }
    let read = names_read(program);
    let Program::Module(module) = program else { return false };
    let mut bindings = Vec::new();
    let mut found = false;
    module.body.retain(|item| {
        let ModuleItem::ModuleDecl(ModuleDecl::Import(declaration)) = item else { return true };
        let Some(name) = declaration.src.value.as_str().filter(|name| bundled.has(name)) else { return true };
        let Some(bindings_read) = runtime_bindings(declaration, &read) else { return true };
        found = true;
        for (export, local) in bindings_read {
            if let Some(property) = bundled.property(name, &export) {
                bindings.push(ObjectPatProp::KeyValue(KeyValuePatProp {
                    key: PropName::Ident(IdentName::new(property.into(), DUMMY_SP)),
                    value: Box::new(Pat::Ident(BindingIdent { id: local.clone(), type_ann: None })),
                }));
            }
        }
        false
    });
    if !bindings.is_empty() {
        let value = Expr::Ident(Ident::new(variable.into(), DUMMY_SP, SyntaxContext::empty()));
        let pattern = ObjectPat { span: DUMMY_SP, props: bindings, optional: false, type_ann: None };
        let declaration = VarDecl {
            kind: VarDeclKind::Const,
            decls: vec![VarDeclarator {
                span: DUMMY_SP,
                name: Pat::Object(pattern),
                init: Some(Box::new(value)),
                definite: false,
            }],
            ..VarDecl::default()
        };
        module.body.insert(0, ModuleItem::Stmt(Stmt::Decl(Decl::Var(Box::new(declaration)))));
    }
    found
}

/// Names that are read as values anywhere, in whatever scope.
fn names_read(program: &Program) -> FxHashSet<Atom> {
    #[derive(Default)]
    struct ReadNames(FxHashSet<Atom>);
    impl Visit for ReadNames {
        noop_visit_type!();
        fn visit_expr(&mut self, expression: &Expr) {
            if let Expr::Ident(ident) = expression {
                self.0.insert(ident.sym.clone());
            }
            expression.visit_children_with(self);
        }
        fn visit_prop(&mut self, property: &Prop) {
            if let Prop::Shorthand(ident) = property {
                self.0.insert(ident.sym.clone());
            }
            property.visit_children_with(self);
        }
        fn visit_named_export(&mut self, export: &NamedExport) {
            for specifier in &export.specifiers {
                if let ExportSpecifier::Named(named) = specifier
                    && let ModuleExportName::Ident(local) = &named.orig
                {
                    self.0.insert(local.sym.clone());
                }
            }
        }
    }
    let mut read = ReadNames::default();
    program.visit_with(&mut read);
    read.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{build_with_imports, rule};

    const MAIN: Unit<'static> = Unit::Script(CodeType::MainFn);

    fn asked(code: &str) -> Vec<(String, String)> {
        let join = |names: BTreeSet<String>| names.into_iter().collect::<Vec<_>>().join(",");
        imports(MAIN, code).into_iter().map(|import| (import.module, join(import.names))).collect()
    }

    #[test]
    fn only_imports_used_at_run_time_are_requested() {
        let code = "import _, { map as each, type X, Y } from 'lodash';
            import * as dates from '@scope/dates/part';
            import 'side-effect';
            import { Z } from 'only-types';
            import type T from 'types';
            import fs from 'fs';
            import local from './local';
            export function main(a: Y, b: Z) { return [_, each, { dates }]; }";
        let expected = [("lodash", "default,map"), ("@scope/dates/part", "*"), ("side-effect", "")];
        assert_eq!(asked(code), expected.map(|(module, names)| (module.to_owned(), names.to_owned())));
        assert_eq!(asked("function main() { return import('lodash'); }"), []);
        assert_eq!(asked("import { a } from 'b'; this does not parse"), []);
    }

    #[test]
    fn imports_become_bindings_of_the_bundle() {
        let code = "import _, { map } from 'lodash';\nexport const main = () => _(map, Functions.a);";
        let bundled =
            BundledImports { code: "({ m0_0: 1, m0_1: 2 })".to_owned(), imports: imports(MAIN, code) };
        let build = build_with_imports(MAIN, code, &bundled).build.expect("all is there");
        let (body, _) = build.code.split_once("//# ").expect("there is a map");
        assert_eq!(
            body,
            "(($packages) => (function () { \"use strict\";\n\
             const { m0_0: _, m0_1: map } = $packages;\nconst main = ()=>_(map, Functions.a);\nreturn main;\n\
             })())(\n({ m0_0: 1, m0_1: 2 })\n);\n"
        );
        assert_eq!(build.function_names, ["a"]);
        let other = BundledImports { code: "({})".to_owned(), ..bundled };
        assert_ne!(build_with_imports(MAIN, code, &other).build.expect("the same").hash, build.hash);
    }

    #[test]
    fn the_bundle_shadows_no_name_and_unlinked_imports_are_refused() {
        let code =
            "import a from 'a';\nimport b from 'b';\nexport function main($packages) { return [a, b]; }";
        let mut bundled = BundledImports { code: "0".to_owned(), imports: imports(MAIN, code) };
        let build = build_with_imports(MAIN, code, &bundled).build.expect("all is there");
        assert!(build.code.starts_with("(($packages_) => "), "{}", build.code);
        bundled.imports.pop();
        let report = build_with_imports(MAIN, code, &bundled);
        let found: Vec<_> =
            report.diagnostics.iter().map(|found| (found.rule.as_str(), found.line)).collect();
        assert_eq!(found, [("module-system", 2)]);
        assert_ne!(rule::SYNTAX, found[0].0);
    }
}
