//! From the checked tree to what V8 compiles: types out, decorators down, one classic script with its source map.

use super::entry::Wrapper;
use super::mappings;
use super::source::Source;
use super::source_map::SourceMap;
use swc_common::{BytePos, FileName, LineCol, Mark, sync::Lrc};
use swc_ecma_ast::{Decorator, Program, TsEnumDecl, TsModuleDecl, TsParamProp};
use swc_ecma_codegen::{Config, Emitter, Node, text_writer::JsWriter};
use swc_ecma_transforms_base::{fixer::fixer, helpers, hygiene::hygiene};
use swc_ecma_transforms_proposal::decorator_2023_11::decorator_2023_11;
use swc_ecma_transforms_typescript::typescript;
use swc_ecma_visit::{Visit, VisitWith};

/// The marks the resolver tagged identifiers with.
#[derive(Clone, Copy)]
pub(super) struct Marks {
    pub(super) unresolved: Mark,
    pub(super) top_level: Mark,
}

/// Turns TypeScript and decorators into JavaScript. Must run where swc's globals are set.
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
    // Only these make names of their own, which may meet the author's.
    if constructs.decorators || constructs.generated_names { program.apply(hygiene()) } else { program }
}

/// Writes the program into its wrapper, with the map back to the author's text at the end.
///
/// `base` is the position of the author's first byte.
pub(super) fn print(program: Program, wrapper: &Wrapper, base: u32, source: &Source<'_>) -> String {
    let program = program.apply(fixer(None));
    let source_map: Lrc<swc_common::SourceMap> = Lrc::default();
    // The printer looks only for trailing commas in it.
    source_map.new_source_file(Lrc::new(FileName::Anon), String::new());
    let mut code = Vec::with_capacity(source.text.len() * 3);
    let mut marks: Vec<(BytePos, LineCol)> = Vec::new();
    code.extend_from_slice(wrapper.header.as_bytes());
    code.push(b'\n');
    {
        let writer = JsWriter::new(source_map.clone(), "\n", &mut code, Some(&mut marks));
        let cfg = Config::default().with_reduce_escaped_newline(false);
        let mut emitter = Emitter { cfg, cm: source_map, comments: None, wr: writer };
        program.emit_with(&mut emitter).expect("writing to memory does not fail");
    }
    let mut code = String::from_utf8(code).expect("the code generator writes whole characters");
    if !code.ends_with('\n') {
        code.push('\n');
    }
    // Behind the footer's first line stand bundled packages, which no author wrote.
    let authored = code.len() + wrapper.footer.find('\n').unwrap_or(wrapper.footer.len());
    code.push_str(&wrapper.footer);
    code.push('\n');
    let segments = mappings::segments(marks, &code[..authored], 1, base, source);
    code.push_str(&SourceMap::from_segments(segments).to_comment());
    code
}

/// Which constructs of a program need more than their types removed.
#[derive(Default)]
struct Constructs {
    decorators: bool,
    generated_names: bool,
}

impl Constructs {
    fn of(program: &Program) -> Self {
        let mut constructs = Self::default();
        program.visit_with(&mut constructs);
        constructs
    }
}

impl Visit for Constructs {
    fn visit_decorator(&mut self, _: &Decorator) {
        self.decorators = true;
    }
    fn visit_auto_accessor(&mut self, accessor: &swc_ecma_ast::AutoAccessor) {
        self.decorators = true;
        accessor.visit_children_with(self);
    }
    fn visit_ts_enum_decl(&mut self, _: &TsEnumDecl) {
        self.generated_names = true;
    }
    fn visit_ts_module_decl(&mut self, _: &TsModuleDecl) {
        self.generated_names = true;
    }
    fn visit_ts_param_prop(&mut self, _: &TsParamProp) {
        self.generated_names = true;
    }
}
