//! Dead letters: messages that could not be processed.

use super::{schemas, validation};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use shared::{
    amqp,
    http::fields::{Fields, ReadFields},
    json,
    limits::BODY_NESTING,
    workspace::is_routed,
};
use std::collections::BTreeSet;
use utoipa::{
    ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, schema::SchemaType},
};
use uuid::Uuid;

/// Limits the ids of one request.
pub(crate) const MAX_IDS: usize = 100;
/// Limits the bytes of a body that is kept: 16 MiB, the largest message that RabbitMQ 4 takes by default.
pub(crate) const MAX_KEPT_BODY: usize = 16 << 20;
/// Limits the bytes of a body in a list: a page of a hundred stays small.
pub(crate) const MAX_LISTED_BODY: i32 = 16 * 1024;
/// Limits the characters of the slug of a workspace.
const MAX_SLUG: usize = 255;

/// A letter that is not stored yet.
#[derive(Debug)]
pub(crate) struct NewLetter {
    /// `None` if the message has no id of its own.
    pub id: Option<Uuid>,
    /// Execution that the body names. Its workspace is the letter's.
    pub execution_id: Option<Uuid>,
    /// Workspace that the body or the routing key names.
    pub workspace_slug: Option<String>,
    /// Beginnings of the routing key, of which the longest that is a workspace goes before `workspace_slug`. Empty if the
    /// body decides.
    pub possible_slugs: Vec<String>,
    pub reason: String,
    pub exchange: String,
    pub routing_key: String,
    pub body: Vec<u8>,
    /// Number of bytes of the message, of which `body` may have fewer.
    pub body_bytes: i64,
    pub fingerprint: [u8; 32],
}

#[derive(Deserialize)]
struct ExecutionBody {
    execution_id: Uuid,
}

#[derive(Deserialize)]
struct EventBody {
    workspace_slug: String,
}

impl From<amqp::DeadLetter> for NewLetter {
    fn from(letter: amqp::DeadLetter) -> Self {
        let fingerprint = letter.fingerprint();
        let amqp::DeadLetter { id, reason, exchange, routing_key, mut body } = letter;
        // Columns of text hold every character but NUL.
        let [reason, exchange, routing_key] =
            [reason, exchange, routing_key].map(|text| text.replace('\0', "\u{fffd}"));
        let execution: Option<ExecutionBody> = serde_json::from_slice(&body).ok();
        let (workspace_slug, possible_slugs) = workspace_of(&routing_key, &body);
        let body_bytes = i64::try_from(body.len()).unwrap_or(i64::MAX);
        body.truncate(MAX_KEPT_BODY);
        Self {
            id,
            execution_id: execution.map(|body| body.execution_id),
            workspace_slug,
            possible_slugs,
            reason,
            exchange,
            routing_key,
            body,
            body_bytes,
            fingerprint,
        }
    }
}

/// Returns the workspace at the start of the routing key, which a broker may have checked, and the beginnings of the key
/// that may be its slug instead: slugs may contain dots. The body decides which part of the key is the slug. It also decides
/// if the key has no dot.
fn workspace_of(routing_key: &str, body: &[u8]) -> (Option<String>, Vec<String>) {
    let is_storable = |slug: &String| slug.chars().count() <= MAX_SLUG && !slug.contains('\0');
    let of_body =
        serde_json::from_slice::<EventBody>(body).ok().map(|body| body.workspace_slug).filter(is_storable);
    let Some((first, _)) = routing_key.split_once('.') else { return (of_body, Vec::new()) };
    if let Some(slug) = of_body.filter(|slug| is_routed(routing_key, slug)) {
        return (Some(slug), Vec::new());
    }
    let beginnings = routing_key.match_indices('.').map(|(at, _)| routing_key[..at].to_owned()).collect();
    (Some(first.to_owned()).filter(is_storable), beginnings)
}

/// A letter as it is stored.
#[derive(Debug)]
pub(crate) struct DeadLetter {
    pub id: Uuid,
    pub reason: String,
    pub exchange: String,
    pub routing_key: String,
    /// `None` for a long body in a list.
    pub body: Option<Vec<u8>>,
    pub body_bytes: i64,
    pub created_at: DateTime<Utc>,
}

impl DeadLetter {
    /// Returns whether the whole message is here.
    pub(crate) fn is_whole(&self) -> bool {
        self.body.as_ref().is_some_and(|body| i64::try_from(body.len()) == Ok(self.body_bytes))
    }
}

/// A letter as it is read.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeadLetter)]
pub(crate) struct ShownLetter {
    pub id: String,
    /// Reason for which it was not processed.
    pub reason: String,
    /// Exchange that it came from, and to which a requeue publishes it.
    pub exchange: String,
    pub routing_key: String,
    /// The message as JSON, or as text if it is not JSON.
    #[schema(schema_with = body_schema)]
    pub body: Option<Box<RawValue>>,
    /// Length of the message in bytes, of which the first 16 MiB are kept.
    pub body_bytes: i64,
    pub created_at: DateTime<Utc>,
}

fn body_schema() -> RefOr<Schema> {
    let limit = format!(
        "The message as JSON, or as text if it is not JSON. Lists leave out bodies over {} KiB.",
        MAX_LISTED_BODY >> 10
    );
    ObjectBuilder::new().schema_type(SchemaType::AnyValue).description(Some(limit)).build().into()
}

impl From<DeadLetter> for ShownLetter {
    fn from(letter: DeadLetter) -> Self {
        let DeadLetter { id, reason, exchange, routing_key, body, body_bytes, created_at } = letter;
        let body = body.map(|body| shown(&body));
        Self { id: id.to_string(), reason, exchange, routing_key, body, body_bytes, created_at }
    }
}

/// Returns a body as JSON. One that is not JSON, or nested deeper than clients read, becomes a string.
fn shown(body: &[u8]) -> Box<RawValue> {
    let text = String::from_utf8_lossy(body);
    let json = serde_json::from_slice::<&RawValue>(body).ok();
    let json = json.filter(|_| json::nesting(body) <= BODY_NESTING).map(RawValue::to_owned);
    json.unwrap_or_else(|| to_raw_value(&*text).expect("text is always JSON"))
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

/// A request to publish one letter again.
#[derive(Debug, ToSchema)]
#[schema(as = DeadLetterEdit)]
pub(crate) struct EditRequest {
    /// An event in place of the stored one; its `workspace_slug` is this workspace's.
    #[schema(required = false, schema_with = schemas::nullable_object)]
    pub body: Option<Box<RawValue>>,
}

impl ReadFields for EditRequest {
    fn read(fields: &mut Fields) -> Option<Self> {
        Some(Self { body: fields.object("body") })
    }
}

impl EditRequest {
    /// Returns whether the body, if there is one, names this workspace.
    pub(crate) fn is_of_workspace(&self, slug: &str) -> bool {
        let named = |body: &RawValue| serde_json::from_str::<EventBody>(body.get()).ok();
        self.body.as_deref().is_none_or(|body| named(body).is_some_and(|event| event.workspace_slug == slug))
    }
}

/// Number of letters that were published again.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Requeued {
    pub requeued: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(routing_key: &str, body: &[u8]) -> NewLetter {
        amqp::DeadLetter {
            id: None,
            reason: "no\0".into(),
            exchange: "runnerctl.events".into(),
            routing_key: routing_key.into(),
            body: body.into(),
        }
        .into()
    }

    #[test]
    fn a_dead_letter_names_its_workspace_or_execution() {
        let slug = |key: &str, body: &[u8]| letter(key, body).workspace_slug;
        assert_eq!(slug("x.y", br#"{"workspace_slug": "demo", "v": 9}"#).as_deref(), Some("x"));
        assert_eq!(slug("", br#"{"workspace_slug": "demo"}"#).as_deref(), Some("demo"));
        assert_eq!(slug("demo.issue.updated", b"not JSON").as_deref(), Some("demo"));
        assert_eq!(slug("demo.prod.x", br#"{"workspace_slug": "demo.prod"}"#).as_deref(), Some("demo.prod"));
        assert_eq!(slug("demo.prod.x", br#"{"workspace_slug": "demo"}"#).as_deref(), Some("demo"));
        assert_eq!(letter("demo.prod.x", b"not JSON").possible_slugs, ["demo", "demo.prod"]);
        assert!(letter("demo.prod.x", br#"{"workspace_slug": "demo"}"#).possible_slugs.is_empty());
        assert_eq!(slug("nothing", b"not JSON"), None);
        assert_eq!(slug("", br#"{"workspace_slug": "a\u0000b"}"#), None);
        let execution = br#"{"v": 1, "execution_id": "01900000-0000-7000-8000-000000000000"}"#;
        assert!(letter("", execution).execution_id.is_some());
    }

    #[test]
    fn any_bytes_can_be_stored_and_shown() {
        let stored = letter("a\0.b", &[0xff, 0, b'x']);
        assert_eq!((&*stored.reason, &*stored.routing_key), ("no\u{fffd}", "a\u{fffd}.b"));
        assert_eq!(shown(&stored.body).get(), r#""�\u0000x""#);
        assert_eq!(shown(br#" {"n": 1e400, "t": "\ud83d"} "#).get(), r#"{"n": 1e400, "t": "\ud83d"}"#);
        let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
        assert_eq!(shown(deep.as_bytes()).get(), format!("\"{deep}\""));
    }

    #[test]
    fn of_a_huge_body_the_beginning_is_kept() {
        let huge = letter("demo.x", "x".repeat(MAX_KEPT_BODY + 1).as_bytes());
        assert_eq!((huge.body.len(), huge.body_bytes), (MAX_KEPT_BODY, 16_777_217));
    }

    #[test]
    fn an_edited_event_stays_in_its_workspace() {
        let edit = |body: &str| EditRequest { body: Some(RawValue::from_string(body.to_owned()).unwrap()) };
        assert!(edit(r#"{"workspace_slug": "demo"}"#).is_of_workspace("demo"));
        assert!(EditRequest { body: None }.is_of_workspace("demo"));
        for other in
            [r#"{"workspace_slug": "other"}"#, "{}", r#"{"workspace_slug":"demo","workspace_slug":"other"}"#]
        {
            assert!(!edit(other).is_of_workspace("demo"), "{other}");
        }
    }
}
