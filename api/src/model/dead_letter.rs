//! Dead letters, as the API shows them.

use super::{schemas, validation};
use serde::Serialize;
use serde_json::Value;
use shared::http::fields::{Fields, ReadFields};
use std::collections::BTreeSet;
use utoipa::ToSchema;

/// Limits the ids of one request.
const MAX_IDS: usize = 100;

/// A message that could not be processed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeadLetter {
    /// Hash of its content: equal letters have one id, and are acted on together.
    pub id: String,
    /// Reason for which it was not processed.
    pub reason: String,
    /// Exchange that it came from, and to which a requeue publishes it.
    pub exchange: String,
    pub routing_key: String,
    /// The message as JSON, or as text if it is not JSON.
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

/// A request to publish letters again.
#[derive(Debug, ToSchema)]
#[schema(as = DeadLetterRequeue)]
pub(crate) struct RequeueRequest {
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

/// Number of letters that were published again.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Requeued {
    pub requeued: usize,
}
