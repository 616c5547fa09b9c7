//! Types of the HTTP contract, and the rules that their fields are held to.

pub(crate) mod api_key;
pub(crate) mod cron;
pub(crate) mod dead_letter;
pub(crate) mod environment;
pub(crate) mod error;
pub(crate) mod etag;
pub(crate) mod execution;
pub(crate) mod execution_ids;
pub(crate) mod function;
pub(crate) mod health;
pub(crate) mod idempotency;
pub(crate) mod pagination;
pub(crate) mod schedule;
pub(crate) mod schemas;
pub(crate) mod script;
pub(crate) mod validation;
pub(crate) mod variables;

use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// Text that answers show in place of a secret value. Writing it back keeps the stored value.
pub(crate) const REDACTED: &str = "********";

/// Messages by field; for code also the positions of its errors.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Invalid {
    /// Findings of the build, if the code does not build.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<schemas::Diagnostic>>)]
    pub diagnostics: Option<serde_json::Value>,
    /// Messages by field name; `non_field_errors` for the body as a whole.
    #[serde(flatten)]
    #[schema(value_type = std::collections::BTreeMap<String, Vec<String>>)]
    pub fields: std::collections::BTreeMap<String, Vec<String>>,
}

/// An error that belongs to no field.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Problem {
    /// Stable text for programs.
    #[schema(example = "not_found")]
    pub code: String,
    /// A sentence for people.
    #[schema(example = "No script with this id.")]
    pub detail: String,
}

/// The scripts and functions that need a function, directly or through other functions, and keep it from changing.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InUse {
    #[schema(example = "in_use")]
    pub code: String,
    pub detail: String,
    pub scripts: Vec<Named>,
    pub functions: Vec<Named>,
}

/// A row by id and name.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Named {
    pub id: Uuid,
    pub name: String,
}

/// A test run that is not over when its request ends.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StillRunning {
    #[schema(example = "still_running")]
    pub code: String,
    pub detail: String,
    /// Id of the execution to ask for from now on.
    pub execution_id: Uuid,
    #[schema(schema_with = schemas::status)]
    pub status: String,
}
