//! TypeScript declarations for the editor: the runtime's, and the workspace's functions. Pure.

use crate::resources::function::Function;
use std::fmt::Write;

/// Globals of the sandbox and the Plane SDK; written by `worker/runtime/types.mjs`.
const RUNTIME: &str = include_str!("../types/runtime.d.ts");

/// One `.d.ts` file for code that may call `functions`.
pub fn declarations(functions: &[Function]) -> String {
    let mut text = String::with_capacity(RUNTIME.len() + 256 * functions.len());
    text.push_str(RUNTIME);
    text.push_str(
        "\n/** The functions that scripts of this workspace may call. */\ndeclare const Functions: {\n",
    );
    for function in functions {
        declare(&mut text, function);
    }
    text.push_str("};\n");
    text
}

fn declare(text: &mut String, function: &Function) {
    let mut about = String::new();
    for line in function.description.lines() {
        let _ = write!(about, "\n   * {}", comment(line));
    }
    for parameter in function.parameters.iter().filter(|parameter| !parameter.description.is_empty()) {
        let _ = write!(
            about,
            "\n   * @param args.{} {}",
            parameter.name,
            comment(&one_line(&parameter.description))
        );
    }
    if !about.is_empty() {
        let _ = writeln!(text, "  /**{about}\n   */");
    }
    let some_required = function.parameters.iter().any(|parameter| parameter.required);
    let members: Vec<String> = function
        .parameters
        .iter()
        .map(|parameter| {
            let optional = if parameter.required { "" } else { "?" };
            format!("{}{optional}: {}", parameter.name, one_line(&parameter.kind))
        })
        .collect();
    let optional = if some_required { "" } else { "?" };
    let members = if members.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", members.join("; ")) };
    let returned = one_line(&function.return_type);
    let returned = if returned.starts_with("Promise<") { returned } else { format!("Promise<{returned}>") };
    let _ = writeln!(text, "  {}(args{optional}: {members}): {returned};", function.name);
}

/// Text that can't end the comment it stands in.
fn comment(text: &str) -> String {
    text.replace("*/", "*\\/")
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::function::FunctionParameter;
    use chrono::DateTime;
    use uuid::Uuid;

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

    #[test]
    fn functions_are_declared_with_what_they_take_and_return() {
        let who = FunctionParameter {
            name: "who".into(),
            kind: "string".into(),
            description: "a name".into(),
            required: true,
        };
        let times = FunctionParameter {
            name: "times".into(),
            kind: "number".into(),
            description: String::new(),
            required: false,
        };
        let text = declarations(&[function("greet", vec![who, times]), function("now", Vec::new())]);
        assert!(text.starts_with(RUNTIME));
        assert!(
            text.contains("  greet(args: { who: string; times?: number }): Promise<string>;\n"),
            "{text}"
        );
        assert!(text.contains("  now(args?: {}): Promise<string>;\n"));
        assert!(text.contains("   * Greets. *\\/ alert(1)\n   * @param args.who a name\n   */"));
    }
}
