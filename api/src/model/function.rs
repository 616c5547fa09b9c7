//! Functions, which scripts call as `Functions.<name>({…})`.

use super::{schemas, validation};
use builder::Diagnostic;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use shared::http::fields::{Fields, ReadFields};
use std::{collections::BTreeSet, fmt::Write};
use utoipa::{
    ToSchema,
    openapi::{RefOr, Schema},
};
use uuid::Uuid;

/// Categories under which the editor lists functions.
pub(crate) const CATEGORIES: [&str; 5] = ["http", "notifications", "data", "utils", "custom"];
const MAX_PARAMETERS: usize = 50;
const MAX_TYPE: usize = 200;
const MAX_USAGE_EXAMPLE: usize = 10_000;
const READ_ONLY: [&str; 9] = [
    "id",
    "build_hash",
    "function_names",
    "is_system",
    "version",
    "created_at",
    "updated_at",
    "diagnostics",
    "workspace",
];

/// A property of the object that a function takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FunctionParameter {
    #[schema(min_length = 1, max_length = 64, pattern = "^[A-Za-z_$][A-Za-z0-9_$]*$")]
    pub name: String,
    /// A TypeScript type.
    #[serde(rename = "type", default = "any")]
    #[schema(default = "any", max_length = 200)]
    pub kind: String,
    #[serde(default)]
    pub description: String,
    #[serde(default)]
    pub required: bool,
}

fn any() -> String {
    "any".to_owned()
}

/// A function as it is read.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = ScriptFunction)]
#[expect(clippy::struct_field_names, reason = "the names of the contract")]
pub(crate) struct Function {
    pub id: Uuid,
    pub name: String,
    pub description: String,
    #[schema(schema_with = category_schema)]
    pub category: String,
    pub parameters: Vec<FunctionParameter>,
    /// A TypeScript type.
    pub return_type: String,
    /// Code that calls it; generated unless the author wrote it.
    pub usage_example: String,
    pub code: String,
    /// SHA-256 of the build, in hexadecimal.
    pub build_hash: String,
    /// Names of the functions that its own code calls.
    pub function_names: Vec<String>,
    /// System functions are in every workspace and read-only.
    pub is_system: bool,
    pub version: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// A function that was just saved, with the findings of its build.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct SavedFunction {
    #[serde(flatten)]
    pub function: Function,
    /// Warnings of the build; empty if the code did not change.
    #[schema(value_type = Vec<schemas::Diagnostic>)]
    pub diagnostics: Vec<Diagnostic>,
}

/// All fields of a function (POST and PUT). A field that is left out takes its default.
#[derive(Clone, Debug, ToSchema)]
#[schema(as = ScriptFunctionInput)]
pub(crate) struct FunctionDraft {
    /// A name in code, unique in the workspace and not that of a system function.
    #[schema(min_length = 1, max_length = 64, pattern = "^[A-Za-z_$][A-Za-z0-9_$]*$")]
    pub name: String,
    #[schema(required = false, max_length = 10_000, default = "")]
    pub description: String,
    #[schema(required = false, schema_with = category_schema)]
    pub category: String,
    #[schema(required = false)]
    pub parameters: Vec<FunctionParameter>,
    #[schema(required = false, max_length = 200, default = "any")]
    pub return_type: String,
    /// Code that calls it; generated from name and parameters if left out or empty.
    #[schema(required = false, max_length = 10_000)]
    pub usage_example: String,
    /// A function that takes one object, or a function body in which the parameters are variables.
    #[schema(min_length = 1, max_length = 262_144)]
    pub code: String,
}

/// The fields of a function that change (PATCH).
#[derive(Clone, Debug, ToSchema)]
#[schema(as = ScriptFunctionPatch)]
pub(crate) struct FunctionPatch {
    #[schema(min_length = 1, max_length = 64, nullable = false, pattern = "^[A-Za-z_$][A-Za-z0-9_$]*$")]
    pub name: Option<String>,
    #[schema(max_length = 10_000, nullable = false)]
    pub description: Option<String>,
    #[schema(schema_with = category_schema)]
    pub category: Option<String>,
    #[schema(nullable = false)]
    pub parameters: Option<Vec<FunctionParameter>>,
    #[schema(max_length = 200, nullable = false)]
    pub return_type: Option<String>,
    #[schema(max_length = 10_000, nullable = false)]
    pub usage_example: Option<String>,
    #[schema(min_length = 1, max_length = 262_144, nullable = false)]
    pub code: Option<String>,
}

impl ReadFields for FunctionPatch {
    fn read(fields: &mut Fields) -> Option<Self> {
        fields.ignore(&READ_ONLY);
        let name = fields.optional::<String>("name");
        if name.as_deref().is_some_and(|name| !validation::is_identifier(name)) {
            let rule = "Must be a name in code: letters, digits, _ and $, no digit first, 64 at most, \
                        no reserved word.";
            fields.errors.add("name", rule);
        }
        let category = fields.optional::<String>("category");
        if category.as_deref().is_some_and(|category| !CATEGORIES.contains(&category)) {
            fields.errors.add("category", format!("Must be one of {}.", CATEGORIES.join(", ")));
        }
        Some(Self {
            name,
            description: validation::description(fields),
            category,
            parameters: parameters(fields),
            return_type: validation::text(fields, "return_type", 1..=MAX_TYPE),
            usage_example: validation::text(fields, "usage_example", 0..=MAX_USAGE_EXAMPLE),
            code: validation::code(fields),
        })
    }
}

impl ReadFields for FunctionDraft {
    fn read(fields: &mut Fields) -> Option<Self> {
        fields.require(&["name", "code"]);
        let patch = FunctionPatch::read(fields)?;
        Some(Self {
            name: patch.name?,
            description: patch.description.unwrap_or_default(),
            category: patch.category.unwrap_or_else(|| "custom".to_owned()),
            parameters: patch.parameters.unwrap_or_default(),
            return_type: patch.return_type.unwrap_or_else(any),
            usage_example: patch.usage_example.unwrap_or_default(),
            code: patch.code?,
        })
    }
}

impl FunctionDraft {
    /// Returns the names of the parameters, which are variables in a function body.
    pub(crate) fn parameter_names(&self) -> Vec<String> {
        self.parameters.iter().map(|parameter| parameter.name.clone()).collect()
    }
}

fn category_schema() -> RefOr<Schema> {
    schemas::texts(CATEGORIES.into_iter())
}

fn parameters(fields: &mut Fields) -> Option<Vec<FunctionParameter>> {
    let parameters: Vec<FunctionParameter> = validation::list(fields, "parameters", MAX_PARAMETERS)?;
    let mut names = BTreeSet::new();
    for FunctionParameter { name, kind, description, .. } in &parameters {
        let shown: String = name.chars().take(64).collect();
        if !validation::is_identifier(name) {
            fields.errors.add("parameters", format!("{shown:?} is not a name in code."));
        } else if !names.insert(name) {
            fields.errors.add("parameters", format!("{shown:?} is there more than once."));
        }
        if kind.is_empty() || kind.chars().count() > MAX_TYPE || kind.chars().any(char::is_control) {
            let rule = format!("{shown:?}: the type must be one line of 1 to {MAX_TYPE} characters.");
            fields.errors.add("parameters", rule);
        }
        if description.chars().count() > 1_000 || description.contains('\0') {
            fields
                .errors
                .add("parameters", format!("{shown:?}: the description may have 1000 characters, no NUL."));
        }
    }
    Some(parameters)
}

/// Returns code that calls the function with its required parameters, or with all if none is required.
pub(crate) fn usage_example(name: &str, parameters: &[FunctionParameter]) -> String {
    let some_required = parameters.iter().any(|parameter| parameter.required);
    let mut arguments = String::new();
    for parameter in parameters.iter().filter(|parameter| parameter.required || !some_required) {
        let _ = writeln!(arguments, "  {}: {},", parameter.name, sample(&parameter.kind));
    }
    if arguments.is_empty() {
        return format!("const result = await Functions.{name}({{}});");
    }
    format!("const result = await Functions.{name}({{\n{arguments}}});")
}

fn sample(kind: &str) -> &'static str {
    match kind.trim() {
        "string" => "\"…\"",
        "number" => "0",
        "boolean" => "true",
        array if array.ends_with("[]") || array.starts_with("Array<") => "[]",
        "any" | "unknown" => "null",
        _ => "{}",
    }
}

/// A function that code may call.
#[derive(Clone, Debug)]
pub(crate) struct KnownFunction {
    pub name: String,
    pub build_hash: String,
    /// Names of the functions that its own code calls.
    pub function_names: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::http::fields::parse;

    fn parameter(name: &str, kind: &str, required: bool) -> FunctionParameter {
        FunctionParameter { name: name.into(), kind: kind.into(), description: String::new(), required }
    }

    #[test]
    fn the_example_calls_with_what_is_required() {
        let parameters = [parameter("url", "string", true), parameter("retries", "number", false)];
        assert_eq!(
            usage_example("httpRequest", &parameters),
            "const result = await Functions.httpRequest({\n  url: \"…\",\n});"
        );
        assert_eq!(usage_example("now", &[]), "const result = await Functions.now({});");
    }

    #[test]
    fn function_and_parameter_names_must_be_identifiers() {
        let error = parse::<FunctionDraft>(
            br#"{"name": "my-function", "code": "1", "category": "x",
            "parameters": [{"name": "a b"}, {"name": "a", "type": ""}]}"#,
        )
        .unwrap_err()
        .to_string();
        assert!(error.contains("category: Must be one of http"), "{error}");
        assert!(error.contains("name: Must be a name in code"), "{error}");
        assert!(error.contains("\"a b\" is not a name in code. \"a\": the type must be one line"), "{error}");
    }
}
