//! Reader of JSON objects field by field, which reports all problems of a body at once.
//!
//! Invariant: an object is read completely or rejected. Missing, unknown, null and wrongly typed fields are reported by
//! name, and with the path inside the field. Nothing is guessed or dropped.

use crate::{json, limits::BODY_NESTING};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use std::{borrow::Cow, collections::BTreeMap, fmt};

const REQUIRED: &str = "This field is required.";
const LONE_SURROGATE: &str = r"text may not hold half of a surrogate pair, such as \ud83d alone";

/// Name of problems that belong to no single field, as in Django REST framework.
pub const NON_FIELD: &str = "non_field_errors";

/// Problems of one request, by field.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct FieldErrors(BTreeMap<String, Vec<String>>);

impl FieldErrors {
    /// Makes one problem of one field.
    pub fn one(field: impl Into<String>, message: impl Into<String>) -> Self {
        let mut errors = Self::default();
        errors.add(field, message);
        errors
    }

    pub fn add(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.0.entry(field.into()).or_default().push(message.into());
    }

    /// Adds the problems of a nested object, under its name.
    pub fn extend_under(&mut self, name: &str, inner: Self) {
        for (field, messages) in inner.0 {
            self.0.entry(format!("{name}.{field}")).or_default().extend(messages);
        }
    }

    /// Returns whether there are no problems.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns whether `field` has a problem.
    pub fn names(&self, field: &str) -> bool {
        self.0.contains_key(field)
    }

    /// Returns `Err` if there is any problem.
    pub fn into_result(self) -> Result<(), Self> {
        if self.is_empty() { Ok(()) } else { Err(self) }
    }
}

impl std::error::Error for FieldErrors {}

impl fmt::Display for FieldErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (field, messages) in &self.0 {
            write!(f, "{separator}{field}: {}", messages.join(" "))?;
            separator = "; ";
        }
        Ok(())
    }
}

/// Type that is read from the fields of a JSON object.
pub trait ReadFields: Sized {
    /// Takes the known fields and records their problems. `None` if there are any.
    fn read(fields: &mut Fields) -> Option<Self>;
}

/// Reads `bytes` as one JSON object with the fields of `T`.
pub fn parse<T: ReadFields>(bytes: &[u8]) -> Result<T, FieldErrors> {
    let mut fields = Fields::of(bytes)?;
    let value = T::read(&mut fields);
    fields.reject_unknown();
    fields.errors.into_result()?;
    value.ok_or_else(|| FieldErrors::one(NON_FIELD, "The body can't be read."))
}

/// Fields of one JSON object, taken one by one.
#[derive(Debug)]
pub struct Fields {
    members: BTreeMap<String, Box<RawValue>>,
    pub errors: FieldErrors,
}

impl Fields {
    fn of(bytes: &[u8]) -> Result<Self, FieldErrors> {
        // Values stay text here and are not parsed.
        let members: BTreeMap<String, Box<RawValue>> = serde_json::from_slice(bytes).map_err(|error| {
            FieldErrors::one(NON_FIELD, format!("The body must be a JSON object: {error}."))
        })?;
        let mut errors = FieldErrors::default();
        for (name, text) in &members {
            // The body is the first level.
            if 1 + json::nesting(text.get().as_bytes()) > BODY_NESTING {
                errors.add(name, format!("JSON may be nested {BODY_NESTING} levels deep at most."));
            }
        }
        errors.into_result()?;
        Ok(Self { members, errors: FieldErrors::default() })
    }

    /// Takes a required field.
    pub fn required<T: DeserializeOwned>(&mut self, name: &'static str) -> Option<T> {
        if !self.members.contains_key(name) {
            self.errors.add(name, REQUIRED);
            return None;
        }
        self.optional(name)
    }

    /// Records which of these fields are missing.
    pub fn require(&mut self, names: &[&'static str]) {
        for name in names {
            if !self.members.contains_key(*name) {
                self.errors.add(*name, REQUIRED);
            }
        }
    }

    /// Takes an optional field, which may be missing but not null.
    pub fn optional<T: DeserializeOwned>(&mut self, name: &'static str) -> Option<T> {
        let text = self.members.remove(name)?;
        if text.get() == "null" {
            self.errors.add(name, "This field may not be null.");
            return None;
        }
        self.decode(name, &text)
    }

    /// Takes a field that may be missing or null, both of which give `None`.
    pub fn nullable<T: DeserializeOwned>(&mut self, name: &'static str) -> Option<T> {
        if self.members.get(name).is_some_and(|text| text.get() == "null") {
            self.members.remove(name);
        }
        self.optional(name)
    }

    /// Takes a JSON object as its original text.
    pub fn object(&mut self, name: &'static str) -> Option<Box<RawValue>> {
        let text = self.nullable::<Box<RawValue>>(name)?;
        if json::is_object(&text) {
            return Some(text);
        }
        self.errors.add(name, "Must be a JSON object.");
        None
    }

    /// Takes the fields of a nested object. Pass them to [`Self::finish_inner`] once they are read.
    pub fn inner(&mut self, name: &'static str) -> Option<Self> {
        let text = self.object(name)?;
        match serde_json::from_str(text.get()) {
            Ok(members) => Some(Self { members, errors: FieldErrors::default() }),
            Err(error) => {
                self.errors.add(name, format!("{error}."));
                None
            }
        }
    }

    /// Adds the problems of the fields of `inner`, under the name of the nested object.
    pub fn finish_inner(&mut self, name: &'static str, mut inner: Self) {
        inner.reject_unknown();
        self.errors.extend_under(name, inner.errors);
    }

    /// Ignores fields that responses have and requests can't set.
    pub fn ignore(&mut self, names: &[&str]) {
        for name in names {
            self.members.remove(*name);
        }
    }

    fn decode<T: DeserializeOwned>(&mut self, name: &'static str, text: &RawValue) -> Option<T> {
        let mut deserializer = serde_json::Deserializer::from_str(text.get());
        match serde_path_to_error::deserialize(&mut deserializer) {
            Ok(value) => Some(value),
            Err(error) => {
                let path = error.path().to_string();
                let reason = if matches!(json::without_lone_surrogates(text.get()), Cow::Owned(_)) {
                    LONE_SURROGATE.to_owned()
                } else {
                    without_position(&error.into_inner())
                };
                let message = if path == "." { reason } else { format!("At {path}: {reason}") };
                self.errors.add(name, format!("{message}."));
                None
            }
        }
    }

    fn reject_unknown(&mut self) {
        for name in std::mem::take(&mut self.members).into_keys() {
            self.errors.add(name, "Unknown field.");
        }
    }
}

/// Returns the message without its line and column, which are relative to one field and not to the body.
fn without_position(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let position = format!(" at line {} column {}", error.line(), error.column());
    text.strip_suffix(&position).unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Point {
        x: i32,
    }

    #[derive(Debug, PartialEq)]
    struct Drawing {
        name: String,
        points: Vec<Point>,
        note: Option<String>,
    }

    impl ReadFields for Drawing {
        fn read(fields: &mut Fields) -> Option<Self> {
            let name = fields.required("name");
            let points = fields.optional("points");
            let note = fields.nullable("note");
            Some(Self { name: name?, points: points.unwrap_or_default(), note })
        }
    }

    fn problems(body: &str) -> String {
        parse::<Drawing>(body.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn a_body_is_read_by_field() {
        let drawing = parse::<Drawing>(br#"{"name": "n", "points": [{"x": 1}], "note": null}"#).unwrap();
        assert_eq!(drawing, Drawing { name: "n".into(), points: vec![Point { x: 1 }], note: None });
    }

    #[test]
    fn all_invalid_fields_are_reported_at_once() {
        assert_eq!(
            problems(r#"{"points": [{"x": 1}, {"x": "2"}], "size": 3, "note": 4}"#),
            "name: This field is required.; note: invalid type: integer `4`, expected a string.; \
             points: At [1].x: invalid type: string \"2\", expected i32.; size: Unknown field."
        );
        assert_eq!(problems(r#"{"name": null}"#), "name: This field may not be null.");
    }

    #[test]
    fn a_body_must_be_a_json_object() {
        assert!(problems("[]").starts_with("non_field_errors: The body must be a JSON object"));
        assert!(problems("{").starts_with("non_field_errors: "));
        assert!(problems("").starts_with("non_field_errors: "));
    }

    #[test]
    fn deep_nesting_is_refused_by_the_name_of_its_field() {
        let nested = |levels: usize| {
            format!("{{\"name\": \"n\", \"x\": {}{}}}", "[".repeat(levels), "]".repeat(levels))
        };
        assert_eq!(problems(&nested(63)), "x: Unknown field.");
        assert_eq!(problems(&nested(64)), "x: JSON may be nested 64 levels deep at most.");
        assert_eq!(problems(&nested(200_000)), "x: JSON may be nested 64 levels deep at most.");
    }

    #[test]
    fn half_a_surrogate_pair_in_a_text_is_named_by_its_place() {
        let rule = r"text may not hold half of a surrogate pair, such as \ud83d alone.";
        assert_eq!(problems(r#"{"name": "a\ud83d"}"#), format!("name: {rule}"));
        assert_eq!(
            problems(r#"{"name": "n", "points": [{"\udc00": 1}]}"#),
            format!("points: At [0].?: {rule}")
        );
    }

    #[test]
    fn a_json_value_is_kept_as_it_is_written() {
        let written = r#"{"b": 1e400, "\u0061":"\ud83d", "b":-0 }"#;
        let mut fields = Fields::of(format!(r#"{{"object" : {written} }}"#).as_bytes()).unwrap();
        assert_eq!(fields.object("object").unwrap().get(), written);
    }
}
