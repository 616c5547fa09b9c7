//! Emission of the checked tree as one classic script with its source map: removes types and lowers decorators.

use crate::{entry::Wrapper, mappings, source::Source, writer::Writer};
use rustc_hash::FxHashSet;
use swc_atoms::Atom;
use swc_common::{FileName, Mark, sync::Lrc};
use swc_ecma_ast::{
    AutoAccessor, BindingIdent, Constructor, Decorator, Id, Ident, ParamOrTsParamProp, Program, TsEnumDecl,
    TsModuleDecl, TsModuleName, TsNamespaceDecl, TsParamPropParam,
};
use swc_ecma_codegen::{Config, Emitter, Node};
use swc_ecma_transforms_base::{fixer::fixer, helpers, hygiene::hygiene};
use swc_ecma_transforms_proposal::decorator_2023_11::decorator_2023_11;
use swc_ecma_transforms_typescript::typescript;
use swc_ecma_visit::{Visit, VisitWith, noop_visit_type};

/// Marks with which the resolver tags identifiers.
#[derive(Clone, Copy)]
pub(super) struct Marks {
    pub(super) unresolved: Mark,
    pub(super) top_level: Mark,
}

/// Lowers TypeScript and decorators to JavaScript. Must run with swc's globals set.
pub(super) fn lower(program: Program, marks: Marks) -> Program {
    let constructs = Constructs::of(&program);
    let strip = |program: Program| {
        let config = typescript::Config {
            native_class_properties: true,
            no_empty_export: true,
            ..typescript::Config::default()
        };
        program.apply(typescript::typescript(config, marks.unresolved, marks.top_level))
    };
    let program = if constructs.decorators {
        helpers::HELPERS.set(&helpers::Helpers::new(false), || {
            let program = strip(program.apply(decorator_2023_11()));
            program.apply(helpers::inject_helpers(marks.unresolved))
        })
    } else {
        strip(program)
    };
    // Only these generate code that refers to names, which may have another meaning in that scope.
    if constructs.decorators || constructs.clashes { program.apply(hygiene()) } else { program }
}

/// Prints the program inside its wrapper, with the source map to the author's text at the end.
///
/// `base` is the position of the author's first byte.
pub(super) fn print(program: Program, wrapper: &Wrapper, base: u32, source: &Source<'_>) -> String {
    let program = program.apply(fixer(None));
    let source_map: Lrc<swc_common::SourceMap> = Lrc::default();
    // The printer reads the source file only to find trailing commas.
    source_map.new_source_file(Lrc::new(FileName::Anon), String::new());
    let cfg = Config::default().with_reduce_escaped_newline(false);
    let writer = Writer::new(&wrapper.header, base, source.text.len());
    let mut emitter = Emitter { cfg, cm: source_map, comments: None, wr: writer };
    program.emit_with(&mut emitter).expect("writing to memory does not fail");
    let Writer { mut code, marks, .. } = emitter.wr;
    if !code.ends_with('\n') {
        code.push('\n');
    }
    // Bundled packages follow the footer's first line. They are not part of the author's text.
    let authored = code.len() + wrapper.footer.find('\n').unwrap_or(wrapper.footer.len());
    code.push_str(&wrapper.footer);
    code.push('\n');
    let map = mappings::encode(&marks, &code[..authored], source);
    map.append_to(&mut code);
    code
}

/// Constructs of a program that need more than the removal of types.
#[derive(Default)]
struct Constructs {
    decorators: bool,
    /// Enums and namespaces. The generated code refers to members through the name of the enum or namespace.
    namespaces: FxHashSet<Id>,
    /// Generated code refers to a name in a scope where the name has another meaning.
    clashes: bool,
}

impl Constructs {
    fn of(program: &Program) -> Self {
        let mut constructs = Self::default();
        program.visit_with(&mut constructs);
        constructs.clashes |= redeclares(program, &constructs.namespaces);
        constructs
    }
}

impl Visit for Constructs {
    noop_visit_type!();

    fn visit_decorator(&mut self, decorator: &Decorator) {
        self.decorators = true;
        decorator.visit_children_with(self);
    }
    fn visit_auto_accessor(&mut self, accessor: &AutoAccessor) {
        self.decorators = true;
        accessor.visit_children_with(self);
    }
    fn visit_ts_enum_decl(&mut self, declaration: &TsEnumDecl) {
        self.namespaces.insert(declaration.id.to_id());
        declaration.visit_children_with(self);
    }
    fn visit_ts_module_decl(&mut self, declaration: &TsModuleDecl) {
        if let TsModuleName::Ident(name) = &declaration.id {
            self.namespaces.insert(name.to_id());
        }
        declaration.visit_children_with(self);
    }
    fn visit_ts_namespace_decl(&mut self, declaration: &TsNamespaceDecl) {
        self.namespaces.insert(declaration.id.to_id());
        declaration.visit_children_with(self);
    }
    /// Records the parameter properties of a constructor: `this.a = a` is generated right after `super()`, in any
    /// scope.
    fn visit_constructor(&mut self, constructor: &Constructor) {
        let fields = constructor.params.iter().filter_map(|parameter| match parameter {
            ParamOrTsParamProp::TsParamProp(property) => match &property.param {
                TsParamPropParam::Ident(ident) => Some(ident.to_id()),
                TsParamPropParam::Assign(assign) => assign.left.as_ident().map(BindingIdent::to_id),
            },
            ParamOrTsParamProp::Param(_) => None,
        });
        self.clashes |= redeclares(constructor, &fields.collect());
        constructor.visit_children_with(self);
    }
}

/// Returns whether a name of one of these variables also names another variable somewhere in the node.
fn redeclares<N: for<'a> VisitWith<Redeclared<'a>>>(node: &N, variables: &FxHashSet<Id>) -> bool {
    if variables.is_empty() {
        return false;
    }
    let names = variables.iter().map(|(name, _)| name).collect();
    let mut redeclared = Redeclared { variables, names, found: false };
    node.visit_with(&mut redeclared);
    redeclared.found
}

struct Redeclared<'a> {
    variables: &'a FxHashSet<Id>,
    names: FxHashSet<&'a Atom>,
    found: bool,
}

impl Visit for Redeclared<'_> {
    noop_visit_type!();

    fn visit_ident(&mut self, ident: &Ident) {
        self.found |= self.names.contains(&ident.sym) && !self.variables.contains(&ident.to_id());
    }
}
