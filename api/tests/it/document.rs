//! Checks every answer that a test gets against the `OpenAPI` document.

use crate::client::Answer;
use reqwest::Method;
use serde_json::Value;
use std::{collections::BTreeSet, sync::LazyLock};

static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| serde_json::to_value(api::testing::http::document()).unwrap());

/// A method and a path template.
pub(crate) type Operation = (String, String);

/// Returns every operation, as method and path template.
pub(crate) fn operations() -> BTreeSet<Operation> {
    let paths = DOCUMENT["paths"].as_object().unwrap();
    paths
        .iter()
        .flat_map(|(path, methods)| {
            let named = |method: &String| (method.to_uppercase(), path.clone());
            methods.as_object().unwrap().keys().map(named)
        })
        .collect()
}

/// Returns the operation that serves this path, which begins with neither prefix.
pub(crate) fn operation(method: &Method, path: &str) -> Option<Operation> {
    let path = path.trim_end_matches('/');
    let serves = |template: &str| {
        let template = template.trim_end_matches('/');
        template.split('/').count() == path.split('/').count()
            && template
                .split('/')
                .zip(path.split('/'))
                .all(|(part, given)| part.starts_with('{') || part == given)
    };
    let candidates =
        operations().into_iter().filter(|(named, template)| named == method.as_str() && serves(template));
    // A literal segment takes precedence over a parameter: `/scripts/test/` over `/scripts/{id}/`.
    candidates.min_by_key(|(_, template)| template.matches('{').count())
}

/// Panics unless the document gives this answer, under either prefix, for this request.
#[track_caller]
pub(crate) fn check(method: &Method, path: &str, answer: &Answer) {
    let Some(path) = [api::testing::http::EXTERNAL, api::testing::http::INTERNAL]
        .iter()
        .find_map(|prefix| path.strip_prefix(prefix).filter(|rest| rest.starts_with('/')))
    else {
        return;
    };
    let result = match operation(method, path) {
        Some((_, template)) => answers_as_documented(method, &template, answer),
        None => refused_in_the_documented_shape(answer),
    };
    if let Err(problem) = result {
        panic!("{method} {path} {}: {problem}\n{}", answer.status, answer.text);
    }
}

fn refused_in_the_documented_shape(answer: &Answer) -> Result<(), String> {
    if !matches!(answer.status.as_u16(), 401 | 404 | 405) {
        return Err("there is no such operation".into());
    }
    conforms(&json(answer)?, &DOCUMENT["components"]["schemas"]["Problem"], "$")
}

fn answers_as_documented(method: &Method, template: &str, answer: &Answer) -> Result<(), String> {
    let operation = &DOCUMENT["paths"][template][method.as_str().to_lowercase()];
    let response = &operation["responses"][answer.status.as_str()];
    if !response.is_object() {
        return Err(format!("the status is not documented for {template}"));
    }
    let Some((kind, content)) = response["content"].as_object().and_then(|content| content.iter().next())
    else {
        return if answer.text.is_empty() { Ok(()) } else { Err("no body is documented".into()) };
    };
    if !answer.header("content-type").starts_with(kind.as_str()) {
        return Err(format!("the body is {:?}, not {kind}", answer.header("content-type")));
    }
    if kind == "application/json" { conforms(&json(answer)?, &content["schema"], "$") } else { Ok(()) }
}

fn json(answer: &Answer) -> Result<Value, String> {
    serde_json::from_str(&answer.text).map_err(|error| format!("the body is not JSON: {error}"))
}

/// Validates by the part of JSON Schema that the document uses. In addition, members that no schema names are errors.
fn conforms(value: &Value, schema: &Value, at: &str) -> Result<(), String> {
    matches(value, schema, at)?;
    let (Some(members), Some(known)) = (value.as_object(), properties(schema)) else { return Ok(()) };
    match members.keys().find(|name| !known.contains(name.as_str())) {
        Some(unknown) => Err(format!("{at}.{unknown} is not documented")),
        None => Ok(()),
    }
}

/// Returns the members that an object may have, or `None` if it may have any.
fn properties(schema: &Value) -> Option<BTreeSet<&str>> {
    let schema = resolved(schema);
    if let Some(all) = schema["allOf"].as_array() {
        let parts: Option<Vec<_>> = all.iter().map(properties).collect();
        return Some(parts?.into_iter().flatten().collect());
    }
    if schema.get("additionalProperties").is_some() {
        return None;
    }
    Some(schema["properties"].as_object()?.keys().map(String::as_str).collect())
}

fn resolved(schema: &Value) -> &Value {
    match schema["$ref"].as_str() {
        Some(reference) => DOCUMENT.pointer(reference.trim_start_matches('#')).expect(reference),
        None => schema,
    }
}

fn matches(value: &Value, schema: &Value, at: &str) -> Result<(), String> {
    let schema = resolved(schema);
    if let Some(all) = schema["allOf"].as_array() {
        return all.iter().try_for_each(|part| matches(value, part, at));
    }
    if let Some(one) = schema["oneOf"].as_array() {
        let fits = one.iter().any(|part| conforms(value, part, at).is_ok());
        return if fits { Ok(()) } else { Err(format!("{at} is none of what it may be: {value}")) };
    }
    if schema["enum"].as_array().is_some_and(|choices| !choices.contains(value)) {
        return Err(format!("{at} is {value}, which is none of {}", schema["enum"]));
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(some) => some.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    if !types.is_empty() && !types.iter().any(|kind| is_of_type(value, kind)) {
        return Err(format!("{at} is {value}, not {types:?}"));
    }
    if let Some(text) = value.as_str() {
        has_format(text, schema["format"].as_str().unwrap_or_default())
            .map_err(|format| format!("{at} is {text:?}, not a {format}"))?;
    }
    if let (Some(items), Some(elements)) = (schema.get("items"), value.as_array()) {
        elements.iter().enumerate().try_for_each(|(n, item)| conforms(item, items, &format!("{at}[{n}]")))?;
    }
    value.as_object().map_or(Ok(()), |members| members_match(members, schema, at))
}

fn members_match(members: &serde_json::Map<String, Value>, schema: &Value, at: &str) -> Result<(), String> {
    for required in schema["required"].as_array().into_iter().flatten() {
        if !members.contains_key(required.as_str().unwrap()) {
            return Err(format!("{at} lacks {required}"));
        }
    }
    for (name, member) in members {
        let part = schema["properties"].get(name).or_else(|| schema.get("additionalProperties"));
        if let Some(part) = part.filter(|part| part.is_object()) {
            conforms(member, part, &format!("{at}.{name}"))?;
        }
    }
    Ok(())
}

fn has_format<'a>(text: &str, format: &'a str) -> Result<(), &'a str> {
    let has = match format {
        "uuid" => uuid::Uuid::parse_str(text).is_ok(),
        "date-time" => chrono::DateTime::parse_from_rfc3339(text).is_ok(),
        _ => true,
    };
    if has { Ok(()) } else { Err(format) }
}

fn is_of_type(value: &Value, kind: &str) -> bool {
    match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    }
}
