//! API keys as they are shown.

use super::{rules, schema};
use crate::{
    auth::Scope,
    payload::{Fields, ReadFields},
};
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// An API key without its secret.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ApiKey {
    pub id: Uuid,
    pub name: String,
    /// The first characters, to tell keys apart.
    pub prefix: String,
    pub scopes: Vec<String>,
    pub created_at: DateTime<Utc>,
    /// To the minute.
    pub last_used_at: Option<DateTime<Utc>>,
}

/// A key that was just made.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CreatedApiKey {
    #[serde(flatten)]
    pub api_key: ApiKey,
    /// The key itself; never shown again.
    pub key: String,
}

/// Asks for a new key.
#[derive(Debug, ToSchema)]
pub struct ApiKeyInput {
    #[schema(min_length = 1, max_length = 255)]
    pub name: String,
    /// Scopes the caller has itself; all of them if left out.
    #[schema(required = false, schema_with = schema::scopes)]
    pub scopes: Option<Vec<Scope>>,
}

impl ReadFields for ApiKeyInput {
    fn read(fields: &mut Fields) -> Option<Self> {
        fields.require(&["name"]);
        let name = rules::name(fields, "name");
        Some(Self { scopes: scopes(fields), name: name? })
    }
}

fn scopes(fields: &mut Fields) -> Option<Vec<Scope>> {
    let names: Vec<String> = rules::list(fields, "scopes", Scope::ALL.len())?;
    let scopes: Option<Vec<Scope>> = names.iter().map(|name| Scope::named(name)).collect();
    if scopes.as_ref().is_none_or(Vec::is_empty) {
        fields.errors.add("scopes", "Must be some of read, write, execute.");
    }
    scopes
}
