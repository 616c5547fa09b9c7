//! Checks of an event that need no database. Pure.

use serde_json::value::RawValue;
use shared::{
    execution::TriggerType,
    json,
    limits::{EVENT_NESTING, INPUT_BYTES},
    message::{self, EventMessage},
    workspace::{SLUG_RULE, is_routed, is_slug},
};

/// Limits the characters of an idempotency key.
const KEY_CHARACTERS: std::ops::RangeInclusive<usize> = 1..=255;

/// Reason why an event is not ingested. A second try would have the same result.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub(super) enum EventRejection {
    /// The body is not JSON, or not in the form of an event.
    #[error("{path}: {problem}")]
    Malformed { path: String, problem: String },
    #[error("v: {found} is not a version this api reads; it reads {reads}", reads = message::VERSION)]
    Version { found: u8 },
    #[error("{field}: {rule}")]
    Invalid { field: &'static str, rule: String },
    #[error("script_id: the workspace has no such script")]
    UnknownScript,
    /// The database can't store the event, although it is within the limits of this module.
    #[error("the database can't store it: {reason}")]
    Unstorable { reason: String },
}

impl EventRejection {
    /// Returns the label of the metric.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Malformed { .. } => "malformed",
            Self::Version { .. } => "version",
            Self::Invalid { .. } => "invalid",
            Self::UnknownScript => "unknown_script",
            Self::Unstorable { .. } => "unstorable",
        }
    }

    pub(super) fn invalid(field: &'static str, rule: impl Into<String>) -> Self {
        Self::Invalid { field, rule: rule.into() }
    }
}

/// Reads an event, and checks it as far as possible without the database.
///
/// The workspace of the body must be that of the routing key, on which a broker can restrict its users.
pub(super) fn read(body: &[u8], routing_key: &str) -> Result<EventMessage, EventRejection> {
    let event = parse(body)?;
    check(&event)?;
    if !is_routed(routing_key, &event.workspace_slug) {
        let rule = "must be the start of the routing key, up to a dot or its end";
        return Err(EventRejection::invalid("workspace_slug", rule));
    }
    Ok(event)
}

fn parse(body: &[u8]) -> Result<EventMessage, EventRejection> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let event: EventMessage = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        EventRejection::Malformed { path: error.path().to_string(), problem: error.inner().to_string() }
    })?;
    deserializer
        .end()
        .map_err(|error| EventRejection::Malformed { path: ".".into(), problem: error.to_string() })?;
    Ok(event)
}

fn check(event: &EventMessage) -> Result<(), EventRejection> {
    if event.v != message::VERSION {
        return Err(EventRejection::Version { found: event.v });
    }
    let key = &event.idempotency_key;
    if !KEY_CHARACTERS.contains(&key.chars().count()) || key.chars().any(char::is_control) {
        let (min, max) = KEY_CHARACTERS.into_inner();
        let rule = format!("must be {min} to {max} characters without control characters");
        return Err(EventRejection::invalid("idempotency_key", rule));
    }
    if !is_slug(&event.workspace_slug) {
        return Err(EventRejection::invalid("workspace_slug", SLUG_RULE));
    }
    if event.trigger_type == TriggerType::Test {
        return Err(EventRejection::invalid("trigger_type", "test runs are requested over HTTP"));
    }
    check_input(event)
}

/// Checks the parts that the script reads.
fn check_input(event: &EventMessage) -> Result<(), EventRejection> {
    let given = [
        ("event", Some(&event.event)),
        ("context", event.context.as_ref()),
        ("variables", event.variables.as_ref()),
    ];
    for (field, value) in given {
        let Some(value) = value else { continue };
        if !json::is_object(value) {
            return Err(EventRejection::invalid(field, "must be an object"));
        }
        if json::nesting(value.get().as_bytes()) > EVENT_NESTING {
            let rule = format!("may be nested at most {EVENT_NESTING} levels deep");
            return Err(EventRejection::invalid(field, rule));
        }
    }
    let length = |value: Option<&Box<RawValue>>| value.map_or(0, |value| value.get().len());
    if event.event.get().len() + length(event.context.as_ref()) > INPUT_BYTES {
        let rule = format!("event and context together may have at most {INPUT_BYTES} bytes");
        return Err(EventRejection::invalid("event", rule));
    }
    if length(event.variables.as_ref()) > INPUT_BYTES {
        return Err(EventRejection::invalid("variables", format!("may have at most {INPUT_BYTES} bytes")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn event(change: impl FnOnce(&mut Value)) -> Vec<u8> {
        let mut event = json!({
            "v": 1, "idempotency_key": "k", "workspace_slug": "demo", "trigger_type": "automation",
            "script_id": "01900000-0000-7000-8000-000000000000", "event": { "event_type": "x" },
        });
        change(&mut event);
        event.to_string().into_bytes()
    }

    fn rejection(change: impl FnOnce(&mut Value)) -> String {
        read(&event(change), "demo.x").expect_err("a rejection").to_string()
    }

    #[test]
    fn the_smallest_event_is_read() {
        let event = read(&event(|_| {}), "demo.x").expect("an event");
        assert_eq!(event.workspace_slug, "demo");
        assert!(event.variables.is_none());
    }

    #[test]
    fn the_reason_names_the_field_and_the_rule() {
        assert_eq!(
            rejection(|event| event["v"] = json!(2)),
            "v: 2 is not a version this api reads; it reads 1"
        );
        assert!(rejection(|event| event["script_id"] = json!("x")).starts_with("script_id: "));
        assert!(rejection(|event| event["surprise"] = json!(1)).contains("unknown field `surprise`"));
        assert_eq!(rejection(|event| event["event"] = json!([])), "event: must be an object");
        assert!(
            rejection(|event| event["idempotency_key"] = json!("a\u{0}b")).starts_with("idempotency_key: ")
        );
        assert_eq!(
            rejection(|event| event["workspace_slug"] = json!("x".repeat(256))),
            "workspace_slug: must be 1 to 255 visible ASCII characters without spaces"
        );
        assert!(rejection(|event| event["trigger_type"] = json!("test")).starts_with("trigger_type: "));
        assert!(read(b"not json", "demo.x").expect_err("a rejection").to_string().starts_with(".: "));
        assert!(read(b"", "demo.x").is_err());
    }

    #[test]
    fn an_event_that_is_too_large_is_refused() {
        let large = "x".repeat(INPUT_BYTES);
        assert!(rejection(|event| event["event"] = json!({ "data": large })).contains("262144 bytes"));
    }
}
