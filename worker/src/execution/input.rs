//! First argument of `main`. Pure.

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use shared::{execution::TriggerType, json::extended};
use uuid::Uuid;

/// Members that the worker adds to `context` after those of the trigger.
#[derive(Debug, Serialize)]
pub(crate) struct Identity {
    pub(crate) execution_id: Uuid,
    pub(crate) script_id: Option<Uuid>,
    pub(crate) attempt: i32,
    pub(crate) trigger_type: TriggerType,
}

#[derive(Serialize)]
struct MainInput<'a> {
    event: &'a RawValue,
    context: &'a RawValue,
}

/// Composes `{ event, context }`. The input of a schedule run has the variables as keys of its own, too, since Plane
/// documents `main(variables)` there.
///
/// The given texts are not changed. The worker's members follow them: of two members with one name `JSON.parse` takes the
/// last, so a trigger can't forge them.
pub(crate) fn compose(
    event: &RawValue,
    context: &RawValue,
    variables: &RawValue,
    identity: &Identity,
) -> Result<Box<RawValue>, serde_json::Error> {
    let context = extended(context, identity)?;
    let input = MainInput { event, context: &context };
    match identity.trigger_type {
        TriggerType::Cron => extended(variables, &input),
        _ => to_raw_value(&input),
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
    fn variables_of_a_scheduled_run_cannot_override_its_event() {
        let input = composed(TriggerType::Cron, "{}", r#"{"slackWebhook":"u","event":"forged"}"#);
        assert_eq!(input["slackWebhook"], "u");
        assert_eq!(input["event"], json!({ "event_type": "x" }));
    }

    #[test]
    fn payload_text_is_kept_as_it_was_written() {
        let identity = Identity {
            execution_id: Uuid::nil(),
            script_id: None,
            attempt: 1,
            trigger_type: TriggerType::Cron,
        };
        let raw = |text: &str| RawValue::from_string(text.to_owned()).expect("JSON");
        let event = r#"{"z":12345678901234567890.10, "\ud83d":1e400,"a":-0,"a":"\u0000"}"#;
        let (context, variables) = (r#"{"z":1, "\ud83d":2,"a":3 "#, r#"{"__proto__":1e131072,"b":"\udc00" "#);
        let input = super::compose(
            &raw(event),
            &raw(&format!("{context}}}")),
            &raw(&format!("{variables}}}")),
            &identity,
        );
        let nil = Uuid::nil();
        let ours = format!(r#""execution_id":"{nil}","script_id":null,"attempt":1,"trigger_type":"cron""#);
        let expected = format!(r#"{variables},"event":{event},"context":{context},{ours}}}}}"#);
        assert_eq!(input.expect("composes").get(), expected);
    }
}
