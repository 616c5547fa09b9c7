//! Reads JSON objects field by field, so that everything wrong with a body is said at once.
//!
//! Invariant: an object is read whole or refused. What is missing, unknown, null or of the wrong type is named by
//! field, and by the path inside the field; nothing is guessed or dropped.

use crate::{json, limits::BODY_NESTING};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use std::{borrow::Cow, collections::BTreeMap, fmt};

const REQUIRED: &str = "This field is required.";
const LONE_SURROGATE: &str = r"text may not hold half of a surrogate pair, such as \ud83d alone";

/// Name Django REST framework gives to problems that belong to no single field.
pub const NON_FIELD: &str = "non_field_errors";

/// Problems by field, all of one request together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct FieldErrors(BTreeMap<String, Vec<String>>);

impl FieldErrors {
    /// One problem with one field.
    pub fn one(field: impl Into<String>, message: impl Into<String>) -> Self {
        let mut errors = Self::default();
        errors.add(field, message);
        errors
    }

    pub fn add(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.0.entry(field.into()).or_default().push(message.into());
    }

    /// Adds the problems of an object inside the body, under its name.
    pub fn extend_under(&mut self, name: &str, inner: Self) {
        for (field, messages) in inner.0 {
            self.0.entry(format!("{name}.{field}")).or_default().extend(messages);
        }
    }

    /// True if nothing was wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// True if `field` already has a problem.
    pub fn names(&self, field: &str) -> bool {
        self.0.contains_key(field)
    }

    /// `Err` if there is any problem.
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

/// A type that is read from the fields of a JSON object.
pub trait ReadFields: Sized {
    /// Takes the fields it knows and notes what is wrong with them; `None` if anything was.
    fn read(fields: &mut Fields) -> Option<Self>;
}

/// Reads `bytes` as one JSON object with the fields of `T`.
pub fn parse<T: ReadFields>(bytes: &[u8]) -> Result<T, FieldErrors> {
    let mut fields = Fields::of(bytes)?;
    let value = T::read(&mut fields);
    fields.refuse_the_rest();
    fields.errors.into_result()?;
    value.ok_or_else(|| FieldErrors::one(NON_FIELD, "The body can't be read."))
}

/// The fields of one JSON object, taken one by one.
#[derive(Debug)]
pub struct Fields {
    members: BTreeMap<String, Box<RawValue>>,
    pub errors: FieldErrors,
}

impl Fields {
    fn of(bytes: &[u8]) -> Result<Self, FieldErrors> {
        // Values stay text here: they are not descended into.
        let members: BTreeMap<String, Box<RawValue>> = serde_json::from_slice(bytes).map_err(|error| {
            FieldErrors::one(NON_FIELD, format!("The body must be a JSON object: {error}."))
        })?;
        let mut errors = FieldErrors::default();
        for (name, text) in &members {
            // The body itself is the first level.
            if 1 + json::nesting(text.get().as_bytes()) > BODY_NESTING {
                errors.add(name, format!("JSON may be nested {BODY_NESTING} levels deep at most."));
            }
        }
        errors.into_result()?;
        Ok(Self { members, errors: FieldErrors::default() })
    }

    /// A field that must be there.
    pub fn required<T: DeserializeOwned>(&mut self, name: &'static str) -> Option<T> {
        if !self.members.contains_key(name) {
            self.errors.add(name, REQUIRED);
            return None;
        }
        self.optional(name)
    }

    /// Notes which of these fields are missing.
    pub fn require(&mut self, names: &[&'static str]) {
        for name in names {
            if !self.members.contains_key(*name) {
                self.errors.add(*name, REQUIRED);
            }
        }
    }

    /// A field that may be left out, but not be null.
    pub fn optional<T: DeserializeOwned>(&mut self, name: &'static str) -> Option<T> {
        let text = self.members.remove(name)?;
        if text.get() == "null" {
            self.errors.add(name, "This field may not be null.");
            return None;
        }
        self.decode(name, &text)
    }

    /// A field that may be left out or null; both mean `None`.
    pub fn nullable<T: DeserializeOwned>(&mut self, name: &'static str) -> Option<T> {
        if self.members.get(name).is_some_and(|text| text.get() == "null") {
            self.members.remove(name);
        }
        self.optional(name)
    }

    /// A JSON object kept as the text it came as.
    pub fn object(&mut self, name: &'static str) -> Option<Box<RawValue>> {
        let text = self.nullable::<Box<RawValue>>(name)?;
        if json::is_object(&text) {
            return Some(text);
        }
        self.errors.add(name, "Must be a JSON object.");
        None
    }

    /// The fields of an object inside this one; give them back with [`Self::adopt`].
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

    /// Takes over what is wrong with the fields of `inner`, under the name of the object.
    pub fn adopt(&mut self, name: &'static str, mut inner: Self) {
        inner.refuse_the_rest();
        self.errors.extend_under(name, inner.errors);
    }

    /// Passes over fields that answers show and requests can't set.
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

    fn refuse_the_rest(&mut self) {
        for name in std::mem::take(&mut self.members).into_keys() {
            self.errors.add(name, "Unknown field.");
        }
    }
}

/// The reason alone: a line and column inside one field would point nowhere in the body.
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
    fn everything_wrong_is_said_at_once() {
        assert_eq!(
            problems(r#"{"points": [{"x": 1}, {"x": "2"}], "size": 3, "note": 4}"#),
            "name: This field is required.; note: invalid type: integer `4`, expected a string.; \
             points: At [1].x: invalid type: string \"2\", expected i32.; size: Unknown field."
        );
        assert_eq!(problems(r#"{"name": null}"#), "name: This field may not be null.");
    }

    #[test]
    fn what_is_not_an_object_is_refused() {
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
