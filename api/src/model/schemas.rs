//! Schemas of types that `shared` defines, since `shared` does not know about `OpenAPI`, and helpers for other schemas.
//!
//! Imports no resource: a resource's list of allowed texts, and the schema of it, are in the resource's own file.

use serde::Serialize;
use shared::{
    execution::{CodeType, ErrorCode, LogLevel, Status, TriggerType},
    limits::{INPUT_BYTES, SECRET_SET_BYTES},
};
use utoipa::{
    ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, Type, schema::SchemaType},
};

/// Returns the schema of a text that is one of `values`.
pub(crate) fn texts(values: impl Iterator<Item = &'static str>) -> RefOr<Schema> {
    let kind = SchemaType::Type(Type::String);
    ObjectBuilder::new().schema_type(kind).enum_values(Some(values)).build().into()
}

pub(crate) fn code_type() -> RefOr<Schema> {
    texts(CodeType::ALL.iter().map(|value| value.as_str()))
}

/// Triggers of executions.
pub(crate) fn trigger_type() -> RefOr<Schema> {
    texts(TriggerType::ALL.iter().map(|value| value.as_str()))
}

pub(crate) fn status() -> RefOr<Schema> {
    texts(Status::ALL.iter().map(|value| value.as_str()))
}

pub(crate) fn error_code() -> RefOr<Schema> {
    texts(ErrorCode::ALL.iter().map(|value| value.as_str()))
}

pub(crate) fn log_level() -> RefOr<Schema> {
    texts(LogLevel::ALL.iter().map(|value| value.as_str()))
}

/// A finding in an author's code. Lines and columns are 1-based; columns count UTF-16 units.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Diagnostic {
    /// Name of the rule, such as `syntax`.
    pub rule: String,
    /// `error` or `warning`.
    pub severity: String,
    pub message: String,
    pub line: u32,
    pub column: u32,
    pub end_line: u32,
    pub end_column: u32,
}

/// Any JSON object.
pub(crate) fn json_object() -> RefOr<Schema> {
    ObjectBuilder::new().schema_type(SchemaType::Type(Type::Object)).build().into()
}

/// Any JSON object in a request, where null is the same as leaving it out.
pub(crate) fn nullable_object() -> RefOr<Schema> {
    ObjectBuilder::new().schema_type(or_null(Type::Object)).build().into()
}

/// `event` or `context` of a request.
pub(crate) fn input_object() -> RefOr<Schema> {
    let limit = format!("`event` and `context` together may have {} KiB.", INPUT_BYTES >> 10);
    ObjectBuilder::new().schema_type(or_null(Type::Object)).description(Some(limit)).build().into()
}

/// `variables` of a request.
pub(crate) fn variables_object() -> RefOr<Schema> {
    let limit = format!("Values by key, over the script's defaults; {} KiB at most.", INPUT_BYTES >> 10);
    ObjectBuilder::new().schema_type(or_null(Type::Object)).description(Some(limit)).build().into()
}

fn or_null(kind: Type) -> SchemaType {
    SchemaType::from_iter([kind, Type::Null])
}

/// Any JSON value.
pub(crate) fn json_value() -> RefOr<Schema> {
    ObjectBuilder::new().schema_type(SchemaType::AnyValue).build().into()
}

/// `{event, context}` of a test run.
pub(crate) fn test_input() -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(or_null(Type::Object))
        .property("event", input_object())
        .property("context", input_object())
        .additional_properties(Some(utoipa::openapi::schema::AdditionalProperties::FreeForm(false)))
        .build()
        .into()
}

/// A number, or `newest`; null is the same as leaving it out.
pub(crate) fn replay_version() -> RefOr<Schema> {
    let number = ObjectBuilder::new().schema_type(SchemaType::Type(Type::Integer)).minimum(Some(1));
    let nothing = ObjectBuilder::new().schema_type(SchemaType::Type(Type::Null));
    let either = utoipa::openapi::OneOfBuilder::new()
        .item(number.build())
        .item(texts(std::iter::once("newest")))
        .item(nothing.build());
    RefOr::T(Schema::OneOf(either.build()))
}

/// Values by environment key.
pub(crate) fn env() -> RefOr<Schema> {
    let text = || ObjectBuilder::new().schema_type(SchemaType::Type(Type::String));
    let key = text().pattern(Some(ENV_KEY)).max_length(Some(128)).build();
    let value: RefOr<Schema> = text().max_length(Some(super::validation::MAX_ENV_VALUE)).build().into();
    ObjectBuilder::new()
        .description(Some(format!("Secrets by key, {} KiB together.", SECRET_SET_BYTES >> 10)))
        .property_names(Some(Schema::Object(key)))
        .additional_properties(Some(value))
        .max_properties(Some(200))
        .build()
        .into()
}

/// Pattern of an environment key.
const ENV_KEY: &str = "^[A-Za-z_][A-Za-z0-9_]*$";
