//! The first argument of `main`. Pure.

use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::value::{RawValue, to_raw_value};
use shared::execution::TriggerType;
use std::collections::BTreeMap;
use uuid::Uuid;

/// What `context` holds besides what the trigger gave.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) execution_id: Uuid,
    pub(crate) script_id: Option<Uuid>,
    pub(crate) attempt: i32,
    pub(crate) trigger_type: TriggerType,
}

/// JSON objects whose values stay as they came.
type Fields<'a> = BTreeMap<String, &'a RawValue>;

/// `{ event, context }`; for schedule runs the variables too, as keys of their own (Plane documents
/// `main(variables)` there).
pub(crate) fn compose(
    event: &RawValue,
    context: &RawValue,
    variables: &RawValue,
    identity: &Identity,
) -> Result<Box<RawValue>, serde_json::Error> {
    let context: Fields<'_> = serde_json::from_str(context.get())?;
    let context = to_raw_value(&Context { given: context, identity })?;
    let mut fields = match identity.trigger_type {
        TriggerType::Cron => serde_json::from_str(variables.get())?,
        _ => Fields::new(),
    };
    fields.insert("event".to_owned(), event);
    fields.insert("context".to_owned(), &context);
    to_raw_value(&fields)
}

/// The trigger's fields, then ours, which a trigger can't forge.
struct Context<'a> {
    given: Fields<'a>,
    identity: &'a Identity,
}

impl Serialize for Context<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        const OURS: [&str; 4] = ["execution_id", "script_id", "attempt", "trigger_type"];
        let mut map = serializer.serialize_map(None)?;
        for (key, value) in self.given.iter().filter(|(key, _)| !OURS.contains(&key.as_str())) {
            map.serialize_entry(key, value)?;
        }
        map.serialize_entry("execution_id", &self.identity.execution_id)?;
        map.serialize_entry("script_id", &self.identity.script_id)?;
        map.serialize_entry("attempt", &self.identity.attempt)?;
        map.serialize_entry("trigger_type", &self.identity.trigger_type)?;
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn composed(trigger_type: TriggerType, context: &str, variables: &str) -> Value {
        let raw = |text: &str| RawValue::from_string(text.to_owned()).expect("JSON");
        let identity =
            Identity { execution_id: Uuid::nil(), script_id: Some(Uuid::max()), attempt: 2, trigger_type };
        let input = super::compose(&raw(r#"{"event_type":"x"}"#), &raw(context), &raw(variables), &identity)
            .expect("composes");
        serde_json::from_str(input.get()).expect("JSON")
    }

    #[test]
    fn the_context_names_the_execution_whatever_the_trigger_says() {
        let input = composed(TriggerType::Automation, r#"{"automation_id":"a","attempt":99}"#, r#"{"v":1}"#);
        let context = json!({
            "automation_id": "a", "execution_id": Uuid::nil(), "script_id": Uuid::max(), "attempt": 2,
            "trigger_type": "automation",
        });
        assert_eq!(input, json!({ "event": { "event_type": "x" }, "context": context }));
    }

    #[test]
    fn a_schedule_run_sees_its_variables_as_own_keys_but_none_hides_the_event() {
        let input = composed(TriggerType::Cron, "{}", r#"{"slackWebhook":"u","event":"forged"}"#);
        assert_eq!(input["slackWebhook"], "u");
        assert_eq!(input["event"], json!({ "event_type": "x" }));
    }

    #[test]
    fn numbers_stay_as_they_were_written() {
        let identity = Identity {
            execution_id: Uuid::nil(),
            script_id: None,
            attempt: 1,
            trigger_type: TriggerType::Api,
        };
        let event = RawValue::from_string(r#"{"n":12345678901234567890.10}"#.to_owned()).expect("JSON");
        let empty = RawValue::from_string("{}".to_owned()).expect("JSON");
        let input = super::compose(&event, &empty, &empty, &identity).expect("composes");
        assert!(input.get().contains("12345678901234567890.10"));
    }
}
