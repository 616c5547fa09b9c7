//! API keys: their scopes, their hashes, and the key as it is shown.

use super::{schemas, validation};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use rand::Rng;
use serde::Serialize;
use sha2::{Digest, Sha256};
use shared::http::fields::{Fields, ReadFields};
use utoipa::{
    ToSchema,
    openapi::{ArrayBuilder, RefOr, Schema},
};
use uuid::Uuid;

/// Text that every key begins with, by which secret scanners recognise a leaked one.
const KEY_PREFIX: &str = "rctl_";
/// Characters of a key that lists show: enough to tell keys apart. The rest keeps over 200 random bits.
const SHOWN_CHARACTERS: usize = 12;

/// A permission of an API key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    Read,
    Write,
    Execute,
    /// Running code of one's own with the secrets of the workspace.
    Secrets,
}

impl Scope {
    pub const ALL: [Self; 4] = [Self::Read, Self::Write, Self::Execute, Self::Secrets];

    /// Returns the text in the database and on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Execute => "execute",
            Self::Secrets => "secrets",
        }
    }

    /// Returns the scope with this text.
    pub fn named(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == text)
    }
}

/// SHA-256 of a key.
pub(crate) type KeyHash = [u8; 32];

/// A new key: 256 random bits.
#[derive(Debug)]
pub struct NewKey {
    /// Shown once, never stored.
    pub text: String,
    pub prefix: String,
    pub hash: KeyHash,
}

impl NewKey {
    pub fn random() -> Self {
        let mut bytes = [0; 32];
        rand::rng().fill_bytes(&mut bytes);
        let text = format!("{KEY_PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes));
        Self { prefix: text[..SHOWN_CHARACTERS].to_owned(), hash: hash(&text), text }
    }
}

/// Returns the hash that is stored in place of a key.
pub(crate) fn hash(key: &str) -> KeyHash {
    Sha256::digest(key).into()
}

/// An API key without its secret.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ApiKey {
    pub id: Uuid,
    pub name: String,
    /// The first characters, which tell keys apart.
    pub prefix: String,
    pub scopes: Vec<String>,
    pub created_at: DateTime<Utc>,
    /// Time of the last use, to the minute.
    pub last_used_at: Option<DateTime<Utc>>,
}

/// A key that was just made.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct CreatedApiKey {
    #[serde(flatten)]
    pub api_key: ApiKey,
    /// The key itself; never shown again.
    pub key: String,
}

/// A request for a new key.
#[derive(Debug, ToSchema)]
pub(crate) struct ApiKeyInput {
    #[schema(min_length = 1, max_length = 255)]
    pub name: String,
    /// Scopes of the key, which the caller must have itself; all of the caller's if left out.
    #[schema(required = false, schema_with = scopes_schema)]
    pub scopes: Option<Vec<Scope>>,
}

impl ReadFields for ApiKeyInput {
    fn read(fields: &mut Fields) -> Option<Self> {
        fields.require(&["name"]);
        let name = validation::name(fields, "name");
        Some(Self { scopes: scopes(fields), name: name? })
    }
}

fn scopes_schema() -> RefOr<Schema> {
    let names = schemas::texts(Scope::ALL.into_iter().map(Scope::as_str));
    ArrayBuilder::new().items(names).min_items(Some(1)).max_items(Some(Scope::ALL.len())).build().into()
}

fn scopes(fields: &mut Fields) -> Option<Vec<Scope>> {
    let names: Vec<String> = validation::list(fields, "scopes", Scope::ALL.len())?;
    let scopes: Option<Vec<Scope>> = names.iter().map(|name| Scope::named(name)).collect();
    if scopes.as_ref().is_none_or(Vec::is_empty) {
        let known = Scope::ALL.map(Scope::as_str).join(", ");
        fields.errors.add("scopes", format!("Must be some of {known}."));
    }
    scopes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_known_by_its_prefix_and_found_by_its_hash() {
        let key = NewKey::random();
        assert!(key.text.starts_with(&key.prefix));
        assert_eq!(hash(&key.text), key.hash);
        assert_ne!(NewKey::random().hash, key.hash);
    }
}
