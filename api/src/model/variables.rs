//! Variables of an execution: the client's values, completed by the defaults of the script.

use super::{error::FieldErrors, execution::JsonObject, script::VariableDefinition};
use serde_json::{Value, value::RawValue};
use shared::json::{self, Members};
use std::collections::HashMap;

/// Returns the given variables with defaults filled in. The error names every required variable without a value.
///
/// Undefined keys pass: an automation may send more than a script asks for. Given values stay as they were written, in
/// their order. A default takes the place of a null, or comes last.
pub(crate) fn complete(
    given: &RawValue,
    definitions: &[VariableDefinition],
) -> Result<JsonObject, FieldErrors> {
    if definitions.is_empty() {
        return Ok(given.to_owned());
    }
    let mut values = VariableValues::of(given).map_err(|error| invalid_json(&error))?;
    let mut errors = FieldErrors::default();
    for VariableDefinition { key, required, default, .. } in definitions {
        if values.has(key) {
            continue;
        }
        if !default.is_null() {
            values.fill_in(key, default);
        } else if *required {
            errors.add("variables", format!("{key}: This variable is required."));
        }
    }
    errors.into_result()?;
    values.into_object().map_err(|error| invalid_json(&error))
}

fn invalid_json(error: &serde_json::Error) -> FieldErrors {
    FieldErrors::one("variables", format!("{error}."))
}

struct VariableValues<'a> {
    given: &'a RawValue,
    members: Members<'a>,
    /// Index of the member with a name: of members with one name the last counts.
    indexes: HashMap<Vec<u8>, usize>,
    null_replacements: HashMap<usize, &'a Value>,
    added: Vec<(&'a str, &'a Value)>,
}

impl<'a> VariableValues<'a> {
    fn of(given: &'a RawValue) -> Result<Self, serde_json::Error> {
        let members = Members::of(given)?;
        let names = members.iter().enumerate();
        let indexes =
            names.map(|(index, (name, _))| Ok((json::characters(name)?, index))).collect::<Result<_, _>>();
        Ok(Self { given, indexes: indexes?, members, null_replacements: HashMap::new(), added: Vec::new() })
    }

    /// Tells whether a key has a value. Null is the same as leaving it out.
    fn has(&self, key: &str) -> bool {
        let index = self.indexes.get(key.as_bytes());
        index.and_then(|index| self.members.get(*index)).is_some_and(|(_, value)| value.get() != "null")
    }

    fn fill_in(&mut self, key: &'a str, default: &'a Value) {
        match self.indexes.get(key.as_bytes()) {
            Some(index) => drop(self.null_replacements.insert(*index, default)),
            None => self.added.push((key, default)),
        }
    }

    fn into_object(self) -> Result<JsonObject, serde_json::Error> {
        if self.null_replacements.is_empty() && self.added.is_empty() {
            return Ok(self.given.to_owned());
        }
        let given = self.members.iter().enumerate().map(|(index, (name, value))| {
            let default = self.null_replacements.get(&index);
            let value = default.map_or_else(|| value.get().to_owned(), ToString::to_string);
            format!("{name}:{value}")
        });
        let added = self.added.iter().map(|(key, default)| format!("{}:{default}", Value::from(*key)));
        let members: Vec<String> = given.chain(added).collect();
        RawValue::from_string(format!("{{{}}}", members.join(",")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn definition(key: &str, required: bool, default: Value) -> VariableDefinition {
        VariableDefinition { key: key.into(), description: String::new(), required, default }
    }

    fn completed(given: &str, definitions: &[VariableDefinition]) -> Result<String, String> {
        let given = RawValue::from_string(given.to_owned()).unwrap();
        let completed = complete(&given, definitions);
        completed.map(|values| values.get().to_owned()).map_err(|errors| errors.to_string())
    }

    #[test]
    fn defaults_fill_in_and_given_values_win() {
        let definitions = [definition("a", true, json!(1)), definition("b", false, Value::Null)];
        assert_eq!(completed("{}", &definitions).as_deref(), Ok(r#"{"a":1}"#));
        assert_eq!(completed(r#"{"a": 2, "c": 3}"#, &definitions).as_deref(), Ok(r#"{"a": 2, "c": 3}"#));
        assert_eq!(completed(r#"{"a": null}"#, &definitions).as_deref(), Ok(r#"{"a":1}"#));
    }

    #[test]
    fn every_missing_variable_is_named() {
        let definitions = [definition("url", true, Value::Null), definition("key", true, Value::Null)];
        assert_eq!(
            completed(r#"{"key": null}"#, &definitions),
            Err("variables: url: This variable is required. key: This variable is required.".into())
        );
    }

    #[test]
    fn given_variables_are_passed_through_unchanged() {
        let given = r#"{ "n":1.0e2, "big":12345678901234567890123,"a":-0,"\ud83d":"\u0000" , "a":1e400}"#;
        assert_eq!(completed(given, &[]).as_deref(), Ok(given));
        let known = [definition("a", true, json!(7)), definition("big", true, Value::Null)];
        assert_eq!(completed(given, &known).as_deref(), Ok(given));
        let filled =
            r#"{"n":1.0e2,"big":12345678901234567890123,"a":-0,"\ud83d":"\u0000","a":1e400,"z\"":[1]}"#;
        assert_eq!(completed(given, &[definition("z\"", true, json!([1]))]).as_deref(), Ok(filled));
    }

    #[test]
    fn the_last_duplicate_variable_counts_in_any_spelling() {
        let known = [definition("a", true, json!(7))];
        assert_eq!(completed(r#"{"a":1,"\u0061":null}"#, &known).as_deref(), Ok(r#"{"a":1,"\u0061":7}"#));
        let given = r#"{"a":null,"\u0061":1}"#;
        assert_eq!(completed(given, &known).as_deref(), Ok(given));
    }
}
