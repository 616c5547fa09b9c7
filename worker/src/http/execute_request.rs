//! Body of `/execute-sync`: its fields and their rules. Pure.

use super::{build::code, functions::Functions};
use serde::Deserialize;
use serde_json::value::RawValue;
use shared::{
    allowed_domains::AllowedDomain,
    execution::CodeType,
    http::fields::{Fields, ReadFields},
    limits::{INPUT_BYTES, RUN_SECRET_BYTES},
};
use std::collections::BTreeMap;

/// Limits a build, in bytes: a script's code and its source map.
const MAX_BUILD_BYTES: usize = 2 * 1024 * 1024;

/// Script to run, with its input and its rights.
#[derive(Debug)]
pub(super) struct ExecuteRequest {
    pub(super) script: Script,
    pub(super) input: Input,
    pub(super) variables: Box<RawValue>,
    pub(super) env: BTreeMap<String, String>,
    pub(super) functions: Functions,
    pub(super) allowed_domains: Vec<String>,
    /// Must be the workspace that the request is signed for, if it is given.
    pub(super) workspace_slug: Option<String>,
}

#[derive(Debug)]
pub(super) enum Script {
    Code(String, CodeType),
    /// The `build` of an earlier response of `/build`.
    Build(String),
}

/// First argument of `main`, without the members that the worker adds to its context.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    pub(super) event: Option<Box<RawValue>>,
    pub(super) context: Option<Box<RawValue>>,
}

impl ReadFields for ExecuteRequest {
    fn read(fields: &mut Fields) -> Option<Self> {
        let code_type = fields.optional("code_type").unwrap_or(CodeType::MainFn);
        let script = script(fields, code_type);
        let input = input(fields);
        let variables = fields.object("variables").unwrap_or_else(empty_object);
        let env = env(fields);
        let functions: Functions = fields.nullable("functions").unwrap_or_default();
        functions.check(&mut fields.errors);
        let allowed_domains: Vec<String> = fields.nullable("allowed_domains").unwrap_or_default();
        for entry in &allowed_domains {
            if let Err(error) = entry.parse::<AllowedDomain>() {
                fields.errors.add("allowed_domains", format!("{error}."));
            }
        }
        let workspace_slug = fields.nullable("workspace_slug");
        Some(Self { script: script?, input, variables, env, functions, allowed_domains, workspace_slug })
    }
}

fn script(fields: &mut Fields, code_type: CodeType) -> Option<Script> {
    let build: Option<String> = fields.nullable("build");
    let Some(build) = build else { return code(fields, "code").map(|code| Script::Code(code, code_type)) };
    if fields.nullable::<String>("code").is_some() {
        fields.errors.add("code", "Give either code or build, not both.");
    }
    if build.len() > MAX_BUILD_BYTES {
        fields
            .errors
            .add("build", format!("Must have at most {MAX_BUILD_BYTES} bytes; it has {}.", build.len()));
    }
    Some(Script::Build(build))
}

fn input(fields: &mut Fields) -> Input {
    let Some(text) = fields.object("input") else { return Input::default() };
    if text.get().len() > INPUT_BYTES {
        let bytes = text.get().len();
        fields.errors.add("input", format!("Must have at most {INPUT_BYTES} bytes as JSON; it has {bytes}."));
        return Input::default();
    }
    let input: Result<Input, _> = serde_json::from_str(text.get());
    match input {
        Ok(input) if [&input.event, &input.context].into_iter().flatten().all(|part| is_object(part)) => {
            input
        }
        Ok(_) => {
            fields.errors.add("input", "event and context must be JSON objects.");
            Input::default()
        }
        Err(_) => {
            fields.errors.add("input", "Takes event and context, nothing else.");
            Input::default()
        }
    }
}

fn env(fields: &mut Fields) -> BTreeMap<String, String> {
    let env: BTreeMap<String, String> = fields.nullable("env").unwrap_or_default();
    let bytes: usize = env.values().map(String::len).sum();
    if bytes > RUN_SECRET_BYTES {
        let rule = format!("All values together may have {RUN_SECRET_BYTES} bytes; they have {bytes}.");
        fields.errors.add("env", rule);
    }
    env
}

fn is_object(json: &RawValue) -> bool {
    json.get().starts_with('{')
}

pub(super) fn empty_object() -> Box<RawValue> {
    RawValue::from_string("{}".to_owned()).expect("an empty object is JSON")
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::http::fields;

    fn problems(json: &str) -> String {
        fields::parse::<ExecuteRequest>(json.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn code_or_a_build_is_needed_and_not_both() {
        assert_eq!(problems("{}"), "code: This field is required.");
        assert_eq!(problems(r#"{"code": "a", "build": "b"}"#), "code: Give either code or build, not both.");
        assert!(fields::parse::<ExecuteRequest>(br#"{"build": "b"}"#).is_ok());
    }

    #[test]
    fn everything_wrong_is_named_by_field() {
        let body = r#"{"code": "x", "code_type": "py", "input": [], "env": {"A": 1}, "allowed_domains": ["https://x"], "later": 1}"#;
        let problems = problems(body);
        for field in ["code_type: ", "input: ", "env: At A: ", "allowed_domains: ", "later: Unknown field."] {
            assert!(problems.contains(field), "{field} in {problems}");
        }
    }

    #[test]
    fn secrets_over_the_limit_are_refused() {
        let body = |bytes| format!(r#"{{"code": "x", "env": {{"A": "1", "B": "{}"}}}}"#, "x".repeat(bytes));
        assert!(fields::parse::<ExecuteRequest>(body(RUN_SECRET_BYTES - 1).as_bytes()).is_ok());
        assert_eq!(
            problems(&body(RUN_SECRET_BYTES)),
            "env: All values together may have 196608 bytes; they have 196609."
        );
    }

    #[test]
    fn an_input_over_the_limit_is_refused() {
        let input = "x".repeat(INPUT_BYTES);
        let body = format!(r#"{{"code": "x", "input": {{"event": {{"text": "{input}"}}}}}}"#);
        assert!(problems(&body).starts_with("input: Must have at most 262144 bytes as JSON"));
    }
}
