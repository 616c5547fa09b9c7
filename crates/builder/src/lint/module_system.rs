//! Rule `module-system`: module loading.

use super::{Check, Context, Global, Problem, Rule, imported_module, node_module};
use swc_ecma_ast::{CallExpr, Callee, MetaPropExpr, MetaPropKind, ModuleDecl};

const NAME: &str = "module-system";
const MESSAGE: &str =
    "Modules can't be loaded: a script is one text. Shared code goes into a function (`Functions.…`).";

/// `module-system`: `import` and `export … from` declarations, and TypeScript's `import = require` and `export =`.
///
/// Reason: a script is one text. Imports of types only are fine, because they are removed.
///
/// ```js
/// import { groupBy } from "lodash";                 // error
/// import type { WorkItem } from "@makeplane/plane-node-sdk"; // fine
/// ```
pub(super) const DECLARATIONS: Rule = Rule { name: NAME, check: Check::Declaration(declaration) };

/// `module-system`: `require`, `module`, `exports`, `__dirname` and `__filename`.
///
/// ```js
/// const lodash = require("lodash");                 // error
/// module.exports = { main };                        // error: `main` needs no export
/// ```
pub(super) const GLOBALS: Rule = Rule { name: NAME, check: Check::Global(global) };

/// `module-system`: `import()`.
pub(super) const CALLS: Rule = Rule { name: NAME, check: Check::Call(call) };

/// `module-system`: `import.meta`.
pub(super) const META_PROPERTIES: Rule = Rule { name: NAME, check: Check::MetaProperty(meta_property) };

fn declaration(declaration: &ModuleDecl, context: &Context<'_>) -> Option<Problem> {
    if let ModuleDecl::TsExportAssignment(export) = declaration {
        return Some(Problem::error(export.span, "`export =` is not supported. Write `export default`."));
    }
    let (module, span) = imported_module(declaration, context)?;
    (!node_module::is_builtin(module)).then(|| Problem::error(span, MESSAGE))
}

fn global(&Global { name, span, .. }: &Global<'_>, context: &Context<'_>) -> Option<Problem> {
    if !matches!(name, "require" | "module" | "exports" | "__dirname" | "__filename")
        || context.has_typeof_guard(name)
    {
        return None;
    }
    let message = match name {
        "require" => MESSAGE.to_owned(),
        "module" | "exports" => format!("`{name}` is not available. `main` is found without an export."),
        _ => format!("`{name}` is not available: a script is not a file."),
    };
    Some(Problem::error(span, message))
}

fn call(call: &CallExpr, context: &Context<'_>) -> Option<Problem> {
    let loads = matches!(call.callee, Callee::Import(_));
    (loads && node_module::requested(call, context).is_none()).then(|| Problem::error(call.span, MESSAGE))
}

fn meta_property(property: &MetaPropExpr) -> Option<Problem> {
    (property.kind == MetaPropKind::ImportMeta).then(|| {
        Problem::error(property.span, "`import.meta` is not available: a script is not a module file.")
    })
}
