//! Modules.

use super::{Check, Context, Problem, Rule, imported_module, node_module};
use swc_common::Spanned;
use swc_ecma_ast::{Callee, Expr, MetaPropKind, ModuleDecl};

const NAME: &str = "module-system";
const MESSAGE: &str =
    "Modules can't be loaded: a script is one text. Shared code goes into a function (`Functions.…`).";

/// `module-system`: `import` and `export … from` declarations, and TypeScript's `import = require` and `export =`.
///
/// Reason: a script is one text. Imports of types only are fine: they vanish.
///
/// ```js
/// import { groupBy } from "lodash";                 // error
/// import type { WorkItem } from "@makeplane/plane-node-sdk"; // fine
/// ```
pub(super) const DECLARATIONS: Rule = Rule { name: NAME, check: Check::Declaration(declaration) };

/// `module-system`: `require`, `module`, `exports`, `import()` and `import.meta`.
///
/// ```js
/// const lodash = require("lodash");                 // error
/// module.exports = { main };                        // error: `main` needs no export
/// ```
pub(super) const EXPRESSIONS: Rule = Rule { name: NAME, check: Check::Expression(expression) };

fn declaration(declaration: &ModuleDecl, context: &Context<'_>) -> Option<Problem> {
    if let ModuleDecl::TsExportAssignment(export) = declaration {
        return Some(Problem::error(export.span, "`export =` is not supported. Write `export default`."));
    }
    let (module, span) = imported_module(declaration, context)?;
    (!node_module::is_builtin(module)).then(|| Problem::error(span, MESSAGE))
}

fn expression(expression: &Expr, context: &Context<'_>) -> Option<Problem> {
    match expression {
        Expr::Call(call) if matches!(call.callee, Callee::Import(_)) => {
            (node_module::requested(expression, context).is_none())
                .then(|| Problem::error(call.span, MESSAGE))
        }
        Expr::MetaProp(meta) if meta.kind == MetaPropKind::ImportMeta => {
            Some(Problem::error(meta.span, "`import.meta` is not available: a script is no module file."))
        }
        Expr::Ident(_) | Expr::Member(_) => {
            let name @ ("require" | "module" | "exports" | "__dirname" | "__filename") =
                context.global_name(expression)?
            else {
                return None;
            };
            if context.asks_for(name) {
                return None;
            }
            let message = match name {
                "require" => MESSAGE.to_owned(),
                "module" | "exports" => {
                    format!("`{name}` is not available. `main` is found without an export.")
                }
                _ => format!("`{name}` is not available: a script is no file."),
            };
            Some(Problem::error(expression.span(), message))
        }
        _ => None,
    }
}
