//! The environment of a workspace: written, never read back.

use super::validation;
use chrono::{DateTime, Utc};
use serde::Serialize;
use shared::http::fields::{Fields, ReadFields};
use utoipa::ToSchema;

/// A variable without its value.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct EnvironmentVariable {
    pub key: String,
    /// Always `********`.
    pub value: &'static str,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    /// A user's id, or the prefix of an API key.
    pub updated_by: Option<String>,
    /// Reason for which the value is not masked in logs and results: it is too short, or a plain word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
}

/// A new value.
#[derive(Debug, ToSchema)]
pub(crate) struct EnvironmentValue {
    /// 32 KiB at most, and 64 KiB with the workspace's other values.
    #[schema(max_length = 32_768)]
    pub value: String,
}

impl ReadFields for EnvironmentValue {
    fn read(fields: &mut Fields) -> Option<Self> {
        fields.ignore(&["key", "created_at", "updated_at", "updated_by", "warning"]);
        let value: String = fields.required("value")?;
        if let Err(rule) = validation::env_value(&value) {
            fields.errors.add("value", rule);
            return None;
        }
        Some(Self { value })
    }
}

/// A change of a variable: its author and its time, never a value.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct EnvironmentChange {
    pub key: String,
    /// `set` or `deleted`.
    pub action: String,
    pub changed_by: Option<String>,
    pub changed_at: DateTime<Utc>,
}
