//! Functions in the body of an `execute-sync`: parses both of their forms, and builds those that the script needs.

use super::{build::timed_build, error::HttpError};
use builder::{Unit, near_matches};
use packages::ResolvedPackages;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use shared::http::fields::FieldErrors;
use std::{collections::BTreeMap, fmt};

/// Limits the number of functions in one request.
const MAX_FUNCTIONS: usize = 200;

/// Functions by name: `{name: code}` or `[{name, code, parameters?}]` in JSON.
#[derive(Debug, Default)]
pub(super) struct Functions(BTreeMap<String, FunctionText>);

#[derive(Debug)]
struct FunctionText {
    code: String,
    parameters: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FunctionEntry {
    name: String,
    code: String,
    #[serde(default)]
    parameters: Vec<Parameter>,
}

/// Parameter in the form of the api's responses, or its name alone.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a parameter's name, or an object with its name")]
enum Parameter {
    Name(String),
    Described { name: String },
}

impl<'de> Deserialize<'de> for Functions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FunctionsVisitor)
    }
}

struct FunctionsVisitor;

impl<'de> Visitor<'de> for FunctionsVisitor {
    type Value = Functions;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of code by name, or a list of functions")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Functions, A::Error> {
        let mut functions = BTreeMap::new();
        while let Some((name, code)) = map.next_entry::<String, String>()? {
            functions.insert(name, FunctionText { code, parameters: Vec::new() });
        }
        Ok(Functions(functions))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Functions, A::Error> {
        let mut functions = BTreeMap::new();
        while let Some(FunctionEntry { name, code, parameters }) = list.next_element()? {
            let parameters = parameters.into_iter().map(|parameter| match parameter {
                Parameter::Name(name) | Parameter::Described { name } => name,
            });
            functions.insert(name, FunctionText { code, parameters: parameters.collect() });
        }
        Ok(Functions(functions))
    }
}

/// Build outputs by the function's name.
pub(super) type FunctionBuilds = BTreeMap<String, String>;

impl Functions {
    /// Adds an error if there are too many functions.
    pub(super) fn check(&self, errors: &mut FieldErrors) {
        if self.0.len() > MAX_FUNCTIONS {
            errors.add(
                "functions",
                format!("Must have at most {MAX_FUNCTIONS} functions; there are {}.", self.0.len()),
            );
        }
    }

    /// Builds the functions `needed` and all that they call, directly or not. Blocking.
    pub(super) fn build(&self, needed: Vec<String>) -> Result<FunctionBuilds, HttpError> {
        let mut builds = FunctionBuilds::new();
        let mut pending = needed;
        while let Some(name) = pending.pop() {
            if builds.contains_key(&name) {
                continue;
            }
            let function = self.0.get(&name).ok_or_else(|| self.unknown(&name))?;
            let unit = Unit::Function { name: &name, parameters: &function.parameters };
            let report = timed_build(unit, &function.code, &ResolvedPackages::default());
            let Some(build) = report.build else {
                let field = format!("functions.{name}").into();
                return Err(HttpError::Code { field, diagnostics: report.diagnostics });
            };
            pending.extend(build.function_names);
            builds.insert(name, build.code);
        }
        Ok(builds)
    }

    /// Returns every name, for a build whose calls are not known.
    pub(super) fn names(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }

    fn unknown(&self, name: &str) -> HttpError {
        let near = near_matches(name, self.0.keys().map(String::as_str));
        let hint =
            if near.is_empty() { String::new() } else { format!(" Did you mean {}?", near.join(", ")) };
        FieldErrors::one("functions", format!("`{name}` is called but not given.{hint}")).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn functions(json: &str) -> Functions {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn only_what_is_needed_is_built_with_what_it_calls() {
        let given = functions(
            r#"{"a": "async ({ x }) => Functions.b({ x })", "b": "({ x }) => x", "unused": "this is not code"}"#,
        );
        let builds = given.build(vec!["a".to_owned()]).unwrap();
        assert_eq!(builds.keys().collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn functions_that_call_each_other_are_built_once() {
        let given = functions(r#"{"a": "() => Functions.b({})", "b": "() => Functions.a({})"}"#);
        assert_eq!(given.build(vec!["a".to_owned()]).unwrap().len(), 2);
    }

    #[test]
    fn a_list_may_declare_parameters_in_either_form() {
        let given = functions(
            r#"[{"name": "add", "code": "return x + y;", "parameters": ["x", {"name": "y", "type": "number"}]}]"#,
        );
        assert_eq!(given.build(given.names()).unwrap().len(), 1);
    }

    #[test]
    fn an_unknown_name_suggests_its_neighbours() {
        let error = functions(r#"{"sendSlackMessage": "() => 1"}"#).build(vec!["sendSlackMesage".to_owned()]);
        let message = "functions: `sendSlackMesage` is called but not given. Did you mean sendSlackMessage?";
        assert_eq!(error.unwrap_err().to_string(), message);
    }

    #[test]
    fn functions_of_another_json_type_are_refused() {
        let error = serde_json::from_str::<Functions>("3").unwrap_err().to_string();
        assert!(error.contains("an object of code by name, or a list of functions"), "{error}");
    }
}
