//! TypeScript declarations for the editor: the runtime's, and the workspace's functions. Pure.

use crate::model::function::Function;
use builder::{is_type, returns_promise};
use std::fmt::Write;

/// Globals of the sandbox and the Plane SDK; written by `crates/sandbox/runtime/types.mjs`.
pub(crate) const RUNTIME: &str = include_str!("../../types/runtime.d.ts");

/// Limits the bytes of the functions' declarations. Functions beyond it are declared by their names alone.
const MAX_BYTES: usize = 2 * 1024 * 1024;

/// Text of a `.d.ts` file for code that may call the functions added to it.
///
/// The functions stand in the SDK's namespace, so that their types may name the SDK's (`WorkItem[]`).
#[derive(Debug)]
pub(crate) struct Declarations(String);

impl Declarations {
    pub(crate) fn new() -> Self {
        Self(
            "
/** The functions that scripts of this workspace may call. */
declare const Functions: PlaneSdk.WorkspaceFunctions;
declare namespace PlaneSdk {
  interface WorkspaceFunctions {
"
            .to_owned(),
        )
    }

    /// Declares a function. Parses its code.
    pub(crate) fn add(&mut self, function: &Function) {
        if self.0.len() < MAX_BYTES {
            declare(&mut self.0, function);
        } else {
            let _ = writeln!(self.0, "    {}(args?: any): any;", function.name);
        }
    }

    /// Returns the part of the file that is the workspace's own. It comes after [`RUNTIME`].
    pub(crate) fn finish(mut self) -> String {
        self.0.push_str("  }\n}\n");
        self.0
    }
}

fn declare(text: &mut String, function: &Function) {
    let mut about = String::new();
    for line in function.description.lines() {
        let _ = write!(about, "\n     * {}", comment(line));
    }
    for parameter in function.parameters.iter().filter(|parameter| !parameter.description.is_empty()) {
        let _ = write!(
            about,
            "\n     * @param args.{} {}",
            parameter.name,
            comment(&one_line(&parameter.description))
        );
    }
    if !about.is_empty() {
        let _ = writeln!(text, "    /**{about}\n     */");
    }
    let some_required = function.parameters.iter().any(|parameter| parameter.required);
    let members: Vec<String> = function
        .parameters
        .iter()
        .map(|parameter| {
            let optional = if parameter.required { "" } else { "?" };
            format!("{}{optional}: {}", parameter.name, type_or_any(&parameter.kind))
        })
        .collect();
    let optional = if some_required { "" } else { "?" };
    let members = if members.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", members.join("; ")) };
    let returned = returned(function);
    let _ = writeln!(text, "    {}(args{optional}: {members}): {returned};", function.name);
}

/// Returns the return type of a function: the type that its author declared, as a promise if its code returns one.
fn returned(function: &Function) -> String {
    let declared = type_or_any(&function.return_type);
    let names: Vec<String> = function.parameters.iter().map(|parameter| parameter.name.clone()).collect();
    if declared.starts_with("Promise<") || !returns_promise(&function.name, &names, &function.code) {
        return declared;
    }
    format!("Promise<{declared}>")
}

/// Returns the type that an author wrote, or `any` if the text is not a type: it must not break other declarations.
fn type_or_any(text: &str) -> String {
    let line = one_line(text);
    if is_type(&line) { line } else { format!("any /* {} */", comment(&line)) }
}

/// Escapes text so that it can't end the comment that contains it.
fn comment(text: &str) -> String {
    text.replace("*/", "*\\/")
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::function::FunctionParameter;
    use chrono::DateTime;
    use uuid::Uuid;

    fn declarations(functions: &[Function]) -> String {
        let mut declarations = Declarations::new();
        for function in functions {
            declarations.add(function);
        }
        declarations.finish()
    }

    fn function(name: &str, parameters: Vec<FunctionParameter>) -> Function {
        Function {
            id: Uuid::nil(),
            name: name.into(),
            description: "Greets. */ alert(1)".into(),
            category: "custom".into(),
            parameters,
            return_type: "string".into(),
            usage_example: String::new(),
            code: String::new(),
            build_hash: String::new(),
            function_names: Vec::new(),
            is_system: false,
            version: 1,
            created_at: DateTime::UNIX_EPOCH,
            updated_at: DateTime::UNIX_EPOCH,
        }
    }

    fn parameter(name: &str, kind: &str, required: bool) -> FunctionParameter {
        FunctionParameter { name: name.into(), kind: kind.into(), description: String::new(), required }
    }

    #[test]
    fn functions_are_declared_with_what_they_take_and_return() {
        let who = FunctionParameter { description: "a name".into(), ..parameter("who", "string", true) };
        let text = declarations(&[
            function("greet", vec![who, parameter("times", "number", false)]),
            function("now", Vec::new()),
        ]);
        assert!(
            text.contains("    greet(args: { who: string; times?: number }): Promise<string>;\n"),
            "{text}"
        );
        assert!(text.contains("    now(args?: {}): Promise<string>;\n"));
        assert!(text.contains("     * Greets. *\\/ alert(1)\n     * @param args.who a name\n     */"));
    }

    #[test]
    fn only_async_functions_are_declared_with_a_promise() {
        let coded = |code: &str| Function { code: code.into(), ..function("f", Vec::new()) };
        let text = |function| declarations(&[function]);
        assert!(text(coded("({ a }) => a")).contains("    f(args?: {}): string;\n"));
        assert!(text(coded("async ({ a }) => a")).contains("    f(args?: {}): Promise<string>;\n"));
    }

    #[test]
    fn invalid_type_text_falls_back_to_any() {
        let odd = parameter("odd", "a list */ of names }", true);
        let text = declarations(&[function("f", vec![odd])]);
        assert!(text.contains("    f(args: { odd: any /* a list *\\/ of names } */ }): Promise<string>;\n"));
    }

    #[test]
    fn functions_beyond_the_limit_are_declared_by_name() {
        let long = Function { description: "x".repeat(MAX_BYTES), ..function("long", Vec::new()) };
        let text = declarations(&[long, function("last", vec![parameter("url", "string", true)])]);
        assert!(
            text.ends_with("    long(args?: {}): Promise<string>;\n    last(args?: any): any;\n  }\n}\n")
        );
    }
}
