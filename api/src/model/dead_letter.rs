//! Messages nobody could handle, as they are shown.

use super::{schemas, validation};
use serde::Serialize;
use serde_json::Value;
use shared::http::fields::{Fields, ReadFields};
use std::collections::BTreeSet;
use utoipa::ToSchema;

const MAX_IDS: usize = 100;

/// A message nobody could handle.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeadLetter {
    /// Hash of its content: equal letters have one id, and are acted on together.
    pub id: String,
    /// What was wrong with it.
    pub reason: String,
    /// The exchange it came from, and goes to when it is requeued.
    pub exchange: String,
    pub routing_key: String,
    /// JSON, or the text if it is none.
    #[schema(schema_with = schemas::json_value)]
    pub body: Value,
}

impl From<shared::amqp::DeadLetter> for DeadLetter {
    fn from(letter: shared::amqp::DeadLetter) -> Self {
        let body = serde_json::from_slice(&letter.body)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&letter.body).into_owned()));
        Self {
            id: letter.id,
            reason: letter.reason,
            exchange: letter.exchange,
            routing_key: letter.routing_key,
            body,
        }
    }
}

/// Names letters to publish again.
#[derive(Debug, ToSchema)]
#[schema(as = DeadLetterRequeue)]
pub struct RequeueRequest {
    #[schema(min_items = 1, max_items = 100, value_type = Vec<String>)]
    pub ids: BTreeSet<String>,
}

impl ReadFields for RequeueRequest {
    fn read(fields: &mut Fields) -> Option<Self> {
        fields.require(&["ids"]);
        let ids: Vec<String> = validation::list(fields, "ids", MAX_IDS)?;
        if ids.is_empty() {
            fields.errors.add("ids", "Must name at least one letter.");
            return None;
        }
        Some(Self { ids: ids.into_iter().collect() })
    }
}

/// How many letters were published again.
#[derive(Debug, Serialize, ToSchema)]
pub struct Requeued {
    pub requeued: usize,
}
