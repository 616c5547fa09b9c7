//! Rule `missing-global`: globals of other platforms.

use super::{Check, Context, Global, Problem, Rule};

/// `missing-global`: a global of Node or of browsers that is not available in scripts.
///
/// Reason: its use throws a `ReferenceError`. A warning, because copied code may contain it in a branch that never
/// runs.
///
/// ```js
/// Buffer.from(text).toString("base64");             // warning: use btoa
/// ```
pub(super) const RULE: Rule = Rule { name: "missing-global", check: Check::Global(check) };

/// Pairs of a global and the advice for its replacement.
const MISSING: &[(&str, &str)] = &[
    ("Buffer", "Use `TextEncoder`, `TextDecoder`, `atob` or `btoa`."),
    ("global", "Use `globalThis`."),
    ("window", "Scripts have no window; for globals use `globalThis`."),
    ("self", "Use `globalThis`."),
    ("document", "Scripts have no page."),
    ("localStorage", "Scripts keep nothing between runs."),
    ("sessionStorage", "Scripts keep nothing between runs."),
    ("XMLHttpRequest", "Use `fetch`."),
    ("WebSocket", "Use `fetch`."),
    ("Worker", "Scripts run in one thread."),
    ("setImmediate", "Use `setTimeout` or `queueMicrotask`."),
    ("clearImmediate", "Use `setTimeout` and `clearTimeout`."),
    ("WebAssembly", "Scripts run JavaScript and TypeScript only."),
    ("SharedArrayBuffer", "Use `ArrayBuffer`."),
    ("Atomics", "Scripts run in one thread."),
];

fn check(&Global { name, span, .. }: &Global<'_>, context: &Context<'_>) -> Option<Problem> {
    let &(_, advice) = MISSING.iter().find(|(missing, _)| *missing == name)?;
    if context.has_typeof_guard(name) {
        return None;
    }
    Some(Problem::warning(span, format!("`{name}` is not available. {advice}")))
}
