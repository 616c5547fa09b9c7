//! Rule `node-module`: modules that are part of Node.

use super::{Check, Context, Problem, Rule, imported_module};
use crate::scope::literal_text;
use swc_common::{Span, Spanned};
use swc_ecma_ast::{CallExpr, Callee, ModuleDecl};

const NAME: &str = "node-module";

/// `node-module`: an import of a module of Node.
///
/// Reason: scripts have no files, processes or sockets. The message names the replacement, if there is one.
///
/// ```js
/// import { readFile } from "node:fs/promises";      // error
/// ```
pub(super) const DECLARATIONS: Rule = Rule { name: NAME, check: Check::Declaration(declaration) };

/// `node-module`: `require("fs")` and `import("fs")`.
pub(super) const CALLS: Rule = Rule { name: NAME, check: Check::Call(call) };

/// Names of Node's modules, without `node:`.
pub const BUILTINS: &[&str] = &[
    "assert",
    "async_hooks",
    "buffer",
    "child_process",
    "cluster",
    "console",
    "constants",
    "crypto",
    "dgram",
    "diagnostics_channel",
    "dns",
    "domain",
    "events",
    "fs",
    "http",
    "http2",
    "https",
    "inspector",
    "module",
    "net",
    "os",
    "path",
    "perf_hooks",
    "process",
    "punycode",
    "querystring",
    "readline",
    "repl",
    "stream",
    "string_decoder",
    "sys",
    "timers",
    "tls",
    "trace_events",
    "tty",
    "url",
    "util",
    "v8",
    "vm",
    "wasi",
    "worker_threads",
    "zlib",
];

/// Returns whether the specifier names a module of Node, with or without `node:`, or a part such as `fs/promises`.
pub fn is_builtin(module: &str) -> bool {
    let name = module.strip_prefix("node:");
    name.is_some() || BUILTINS.contains(&module.split('/').next().unwrap_or(module))
}

/// Module of Node that a `require` or `import()` loads.
pub(super) fn requested<'e>(call: &'e CallExpr, context: &Context<'_>) -> Option<(&'e str, Span)> {
    let loads = match &call.callee {
        Callee::Import(_) => true,
        Callee::Expr(callee) => context.global_name(callee) == Some("require"),
        Callee::Super(_) => false,
    };
    let argument = call.args.first().filter(|_| loads)?;
    let module = literal_text(&argument.expr)?;
    is_builtin(module).then(|| (module, argument.expr.span()))
}

fn declaration(declaration: &ModuleDecl, context: &Context<'_>) -> Option<Problem> {
    let (module, span) = imported_module(declaration, context)?;
    is_builtin(module).then(|| problem(module, span))
}

fn call(call: &CallExpr, context: &Context<'_>) -> Option<Problem> {
    requested(call, context).map(|(module, span)| problem(module, span))
}

fn problem(module: &str, span: Span) -> Problem {
    let name = module.strip_prefix("node:").unwrap_or(module);
    let advice = match name.split('/').next().unwrap_or(name) {
        "http" | "https" | "http2" | "net" | "tls" => " Use `fetch`.",
        "crypto" => " Use the global `crypto`.",
        "url" | "querystring" => " Use the globals `URL` and `URLSearchParams`.",
        "buffer" => " Use `TextEncoder`, `TextDecoder`, `atob` or `btoa`.",
        "timers" => " Use the global timers.",
        "process" | "os" => " Environment variables are in `ENV`.",
        _ => "",
    };
    Problem::error(span, format!("The Node.js module `{name}` is not available in scripts.{advice}"))
}
