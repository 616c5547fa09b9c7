//! Rules that fields of several resources are held to.

use serde::de::DeserializeOwned;
use serde_json::Value;
use shared::{allowed_domains::AllowedDomain, http::fields::Fields, limits::CODE_BYTES};
use std::{collections::BTreeMap, ops::RangeInclusive, str::FromStr};

const MAX_NAME: usize = 255;
const MAX_DESCRIPTION: usize = 10_000;
const MAX_DOMAINS: usize = 100;
const MAX_ENV_ENTRIES: usize = 200;
const MAX_ENV_KEY: usize = 128;
/// Limits the bytes of one environment value.
pub(crate) const MAX_ENV_VALUE: usize = 32 * 1024;

/// Reads a text with this many characters, without NUL.
pub(crate) fn text(
    fields: &mut Fields,
    field: &'static str,
    characters: RangeInclusive<usize>,
) -> Option<String> {
    let text: String = fields.optional(field)?;
    check_text(fields, field, text, characters)
}

fn check_text(
    fields: &mut Fields,
    field: &'static str,
    text: String,
    characters: RangeInclusive<usize>,
) -> Option<String> {
    let count = text.chars().count();
    if text.contains('\0') {
        fields.errors.add(field, "Must not hold the NUL character.");
    } else if count < *characters.start() {
        fields.errors.add(field, "This field may not be blank.");
    } else if count > *characters.end() {
        fields.errors.add(field, format!("Must have {} characters at most.", characters.end()));
    } else {
        return Some(text);
    }
    None
}

/// Reads a name: not blank, without the spaces around it.
pub(crate) fn name(fields: &mut Fields, field: &'static str) -> Option<String> {
    let text: String = fields.optional(field)?;
    check_text(fields, field, text.trim().to_owned(), 1..=MAX_NAME)
}

pub(crate) fn description(fields: &mut Fields) -> Option<String> {
    text(fields, "description", 0..=MAX_DESCRIPTION)
}

/// Reads an author's code.
pub(crate) fn code(fields: &mut Fields) -> Option<String> {
    let code: String = fields.optional("code")?;
    if code.trim().is_empty() {
        fields.errors.add("code", "This field may not be blank.");
    } else if code.contains('\0') {
        fields.errors.add("code", "Must not hold the NUL character.");
    } else if code.len() > CODE_BYTES {
        fields.errors.add("code", format!("Must have {CODE_BYTES} bytes at most, has {}.", code.len()));
    } else {
        return Some(code);
    }
    None
}

/// Reads one of `choices`.
pub(crate) fn choice<T: Copy + FromStr + PartialEq + std::fmt::Display>(
    fields: &mut Fields,
    field: &'static str,
    choices: &[T],
) -> Option<T> {
    let text: String = fields.optional(field)?;
    let chosen = text.parse().ok().filter(|value| choices.contains(value));
    if chosen.is_none() {
        let names: Vec<String> = choices.iter().map(ToString::to_string).collect();
        fields.errors.add(field, format!("Must be one of {}.", names.join(", ")));
    }
    chosen
}

/// Reads a whole number within bounds.
pub(crate) fn number(fields: &mut Fields, field: &'static str, bounds: RangeInclusive<i32>) -> Option<i32> {
    let number = fields.optional(field)?;
    if bounds.contains(&number) {
        return Some(number);
    }
    fields.errors.add(field, format!("Must be from {} to {}.", bounds.start(), bounds.end()));
    None
}

/// Reads a list of at most `most` items.
pub(crate) fn list<T: DeserializeOwned>(
    fields: &mut Fields,
    field: &'static str,
    most: usize,
) -> Option<Vec<T>> {
    let items: Vec<T> = fields.optional(field)?;
    if items.len() <= most {
        return Some(items);
    }
    fields.errors.add(field, format!("May have {most} entries at most."));
    None
}

/// Reads the hosts that a script may reach, in their canonical spelling.
pub(crate) fn allowed_domains(fields: &mut Fields) -> Option<Vec<String>> {
    let domains: Vec<String> = list(fields, "allowed_domains", MAX_DOMAINS)?;
    let mut canonical = Vec::with_capacity(domains.len());
    for domain in domains {
        match domain.parse::<AllowedDomain>() {
            Ok(domain) => canonical.push(domain.to_string()),
            Err(problem) => {
                let shown: String = problem.entry.chars().take(100).collect();
                fields.errors.add("allowed_domains", format!("{shown:?} {}.", problem.rule));
            }
        }
    }
    Some(canonical)
}

/// Reads environment values by key.
pub(crate) fn env(fields: &mut Fields) -> Option<BTreeMap<String, String>> {
    let env: BTreeMap<String, String> = fields.optional("env")?;
    if env.len() > MAX_ENV_ENTRIES {
        fields.errors.add("env", format!("May have {MAX_ENV_ENTRIES} entries at most."));
    }
    for (key, value) in &env {
        if let Err(rule) = env_key(key) {
            let shown: String = key.chars().take(MAX_ENV_KEY).collect();
            fields.errors.add("env", format!("{shown:?} {rule}"));
        }
        if let Err(rule) = env_value(value) {
            fields.errors.add("env", format!("{key}: {rule}"));
        }
    }
    Some(env)
}

/// Checks an environment key. The error is the broken rule.
pub(crate) fn env_key(key: &str) -> Result<(), String> {
    let starts_well = key.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    let goes_on_well = key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if starts_well && goes_on_well && key.len() <= MAX_ENV_KEY {
        return Ok(());
    }
    Err(format!("is not a key: letters, digits and _, not a digit first, {MAX_ENV_KEY} characters at most."))
}

/// Checks an environment value. The error is the broken rule, and never quotes the value.
pub(crate) fn env_value(value: &str) -> Result<(), String> {
    if value.len() > MAX_ENV_VALUE {
        return Err(format!("Must have {MAX_ENV_VALUE} bytes at most."));
    }
    if value.contains('\0') {
        return Err("Must not hold the NUL character.".to_owned());
    }
    Ok(())
}

/// Tells whether a text inside `value` contains the NUL character, which `jsonb` can't hold.
pub(crate) fn contains_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(values) => values.iter().any(contains_nul),
        Value::Object(members) => {
            members.iter().any(|(name, value)| name.contains('\0') || contains_nul(value))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Returns the bytes of `value` as JSON whose numbers have no exponents.
pub(crate) fn plain_json_bytes(value: &Value) -> usize {
    match value {
        Value::Number(number) => number.as_f64().map_or(0, |double| double.to_string().len()),
        Value::Array(values) => 2 + values.iter().map(|value| 1 + plain_json_bytes(value)).sum::<usize>(),
        Value::Object(members) => {
            2 + members.iter().map(|(name, value)| 4 + name.len() + plain_json_bytes(value)).sum::<usize>()
        }
        Value::String(text) => 2 + text.len(),
        Value::Null | Value::Bool(_) => 5,
    }
}

/// Tells whether `text` can be a name in code: letters, digits, `_` and `$`, 64 at most, no digit first.
pub(crate) fn is_identifier(text: &str) -> bool {
    let part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$';
    (1..=64).contains(&text.len())
        && text.bytes().all(part)
        && !text.starts_with(|first: char| first.is_ascii_digit())
        && !RESERVED_WORDS.contains(&text)
}

/// Reserved words of JavaScript in strict and async code, and names that reach the prototype.
const RESERVED_WORDS: [&str; 55] = [
    "__proto__",
    "arguments",
    "await",
    "break",
    "case",
    "catch",
    "class",
    "const",
    "constructor",
    "continue",
    "debugger",
    "default",
    "delete",
    "do",
    "else",
    "enum",
    "eval",
    "export",
    "extends",
    "false",
    "finally",
    "for",
    "function",
    "if",
    "implements",
    "import",
    "in",
    "instanceof",
    "interface",
    "let",
    "new",
    "null",
    "package",
    "private",
    "protected",
    "prototype",
    "public",
    "return",
    "static",
    "super",
    "switch",
    "then",
    "this",
    "throw",
    "toString",
    "true",
    "try",
    "typeof",
    "undefined",
    "valueOf",
    "var",
    "void",
    "while",
    "with",
    "yield",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_code_are_identifiers() {
        assert!(is_identifier("sendSlackMessage") && is_identifier("$_1"));
        for text in ["", "1a", "a-b", "a b", "class", "__proto__", &"x".repeat(65)] {
            assert!(!is_identifier(text), "{text}");
        }
    }

    #[test]
    fn environment_keys_are_plain_names() {
        assert!(env_key("API_KEY").is_ok() && env_key("_x1").is_ok());
        for key in ["", "1A", "A-B", "A=B", "Ä"] {
            assert!(env_key(key).is_err(), "{key}");
        }
    }
}
