//! Schemas of types that `shared` defines: it does not know about HTTP, so they are described here.

use serde::Serialize;
use shared::execution::{CodeType, ErrorCode, LogLevel, Status, TriggerType};
use utoipa::{
    ToSchema,
    openapi::{ArrayBuilder, ObjectBuilder, RefOr, Schema, Type, schema::SchemaType},
};

fn texts(values: impl Iterator<Item = &'static str>) -> RefOr<Schema> {
    let kind = SchemaType::Type(Type::String);
    ObjectBuilder::new().schema_type(kind).enum_values(Some(values)).build().into()
}

pub fn code_type() -> RefOr<Schema> {
    texts(CodeType::ALL.iter().map(|value| value.as_str()))
}

/// Triggers that a script may have.
pub fn script_trigger() -> RefOr<Schema> {
    texts(super::script::TRIGGERS.into_iter().map(TriggerType::as_str))
}

/// Triggers of executions.
pub fn trigger_type() -> RefOr<Schema> {
    texts(TriggerType::ALL.iter().map(|value| value.as_str()))
}

/// Triggers that a caller may name for an execution.
pub fn requested_trigger() -> RefOr<Schema> {
    texts(super::execution::TRIGGERS.into_iter().map(TriggerType::as_str))
}

pub fn status() -> RefOr<Schema> {
    texts(Status::ALL.iter().map(|value| value.as_str()))
}

pub fn error_code() -> RefOr<Schema> {
    texts(ErrorCode::ALL.iter().map(|value| value.as_str()))
}

pub fn log_level() -> RefOr<Schema> {
    texts(LogLevel::ALL.iter().map(|value| value.as_str()))
}

/// A finding in an author's code. Lines and columns are 1-based; columns count UTF-16 units.
#[derive(Debug, Serialize, ToSchema)]
pub struct Diagnostic {
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

/// Categories under which the editor lists functions.
pub fn category() -> RefOr<Schema> {
    texts(super::function::CATEGORIES.into_iter())
}

/// Any JSON object.
pub fn json_object() -> RefOr<Schema> {
    ObjectBuilder::new().schema_type(SchemaType::Type(Type::Object)).build().into()
}

/// Any JSON object in a request, where null is the same as leaving it out.
pub fn nullable_object() -> RefOr<Schema> {
    ObjectBuilder::new().schema_type(or_null(Type::Object)).build().into()
}

fn or_null(kind: Type) -> SchemaType {
    SchemaType::from_iter([kind, Type::Null])
}

/// Any JSON value.
pub fn json_value() -> RefOr<Schema> {
    ObjectBuilder::new().schema_type(SchemaType::AnyValue).build().into()
}

/// `{event, context}` of a test run.
pub fn test_input() -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(or_null(Type::Object))
        .property("event", nullable_object())
        .property("context", nullable_object())
        .additional_properties(Some(utoipa::openapi::schema::AdditionalProperties::FreeForm(false)))
        .build()
        .into()
}

/// A number, or `newest`; null is the same as leaving it out.
pub fn replay_version() -> RefOr<Schema> {
    let number = ObjectBuilder::new().schema_type(SchemaType::Type(Type::Integer)).minimum(Some(1));
    let nothing = ObjectBuilder::new().schema_type(SchemaType::Type(Type::Null));
    let either = utoipa::openapi::OneOfBuilder::new()
        .item(number.build())
        .item(texts(std::iter::once("newest")))
        .item(nothing.build());
    RefOr::T(Schema::OneOf(either.build()))
}

/// Policies for runs that no process could fire.
pub fn catch_up() -> RefOr<Schema> {
    texts(super::schedule::CATCH_UP.into_iter())
}

/// Some of the scopes of an API key.
pub fn scopes() -> RefOr<Schema> {
    let names = super::api_key::Scope::ALL.map(super::api_key::Scope::as_str);
    ArrayBuilder::new().items(texts(names.into_iter())).min_items(Some(1)).max_items(Some(3)).build().into()
}

/// Values by environment key.
pub fn env() -> RefOr<Schema> {
    let text = || ObjectBuilder::new().schema_type(SchemaType::Type(Type::String));
    let key = text().pattern(Some(ENV_KEY)).max_length(Some(128)).build();
    let value: RefOr<Schema> = text().max_length(Some(super::validation::MAX_ENV_VALUE)).build().into();
    ObjectBuilder::new()
        .property_names(Some(Schema::Object(key)))
        .additional_properties(Some(value))
        .max_properties(Some(200))
        .build()
        .into()
}

/// Pattern of an environment key.
const ENV_KEY: &str = "^[A-Za-z_][A-Za-z0-9_]*$";
