//! Executions: one run of one version of a script.

use super::{
    error::{ApiError, FieldErrors},
    schemas, validation,
};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::value::RawValue;
use shared::{
    execution::{CodeType, Status, TriggerType, UnknownText},
    http::fields::{Fields, ReadFields},
    limits::INPUT_BYTES,
};
use std::collections::BTreeMap;
use utoipa::{
    ToSchema,
    openapi::{RefOr, Schema},
};
use uuid::Uuid;

/// Triggers that a caller may name for an execution; `test` is only for `/scripts/test/`.
pub(crate) const TRIGGERS: [TriggerType; 4] =
    [TriggerType::Automation, TriggerType::WorkflowTransition, TriggerType::Cron, TriggerType::Api];

/// An execution without its logs, as lists show it.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExecutionSummary {
    pub id: Uuid,
    /// Null for a test run of unsaved code.
    pub script_id: Option<Uuid>,
    pub script_version: Option<i32>,
    #[schema(schema_with = schemas::trigger_type)]
    pub trigger_type: String,
    #[schema(schema_with = schemas::status)]
    pub status: String,
    /// Number of times that a worker has started it.
    pub attempt: i32,
    /// Return value of `main`; null until the execution is completed. Lists leave out results over 16 KiB.
    #[schema(schema_with = schemas::json_value)]
    pub result: Option<Box<RawValue>>,
    pub error: Option<Failure>,
    /// Names of the functions that it runs with.
    pub function_names: Vec<String>,
    /// The execution it repeats.
    pub replay_of: Option<Uuid>,
    pub queued_at: DateTime<Utc>,
    pub started_at: Option<DateTime<Utc>>,
    pub finished_at: Option<DateTime<Utc>>,
    /// Initialisation and run together, in milliseconds.
    pub duration_ms: Option<i64>,
    pub phases: Phases,
    /// Processor time, in milliseconds.
    pub cpu_ms: Option<f64>,
    pub memory_peak_bytes: Option<i64>,
}

/// An execution as it is read.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Execution {
    #[serde(flatten)]
    pub summary: ExecutionSummary,
    pub logs: Vec<Log>,
    #[schema(schema_with = schemas::json_object)]
    pub event: Box<RawValue>,
    #[schema(schema_with = schemas::json_object)]
    pub context: Box<RawValue>,
    /// Variables, with the defaults of the script filled in.
    #[schema(schema_with = schemas::json_object)]
    pub variables: Box<RawValue>,
}

impl Execution {
    /// Returns the progress.
    pub(crate) fn progress(&self) -> Result<Progress, ApiError> {
        let status = self.summary.status.parse();
        Ok(Progress {
            status: status.map_err(|error: UnknownText| ApiError::Internal(error.to_string().into()))?,
            attempt: self.summary.attempt,
            last_seq: self.logs.last().map_or(0, |log| log.seq),
        })
    }
}

/// The error of an execution that did not complete.
#[derive(Debug, Serialize, ToSchema)]
pub struct Failure {
    #[schema(schema_with = schemas::error_code)]
    pub code: String,
    pub message: String,
    /// Stack trace in lines and columns of the author's code.
    pub stack: Option<String>,
    pub line: Option<i32>,
    pub column: Option<i32>,
}

/// Durations of the phases of an execution, in milliseconds; null for a phase that has not happened.
#[derive(Debug, Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "the names of the contract")]
pub struct Phases {
    pub queue_ms: Option<f64>,
    pub init_ms: Option<f64>,
    pub run_ms: Option<f64>,
    pub persist_ms: Option<f64>,
}

/// A console line.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Log {
    /// Number of the line, from 1, over all attempts.
    pub seq: i32,
    pub ts: DateTime<Utc>,
    #[schema(schema_with = schemas::log_level)]
    pub level: String,
    pub message: String,
}

/// A JSON object, kept as the text that the client sent.
pub(crate) type JsonObject = Box<RawValue>;

/// The event and the context of an execution.
#[derive(Clone, Debug)]
pub struct Input {
    pub event: JsonObject,
    pub context: JsonObject,
}

impl Input {
    fn read(fields: &mut Fields) -> Self {
        let event = fields.object("event").unwrap_or_else(empty_object);
        let context = fields.object("context").unwrap_or_else(empty_object);
        let input = Self { event, context };
        if let Err(rule) = input.check() {
            fields.errors.add("event", rule);
        }
        input
    }

    /// Checks the size of event and context together. The error is the rule.
    fn check(&self) -> Result<(), String> {
        let bytes = self.event.get().len() + self.context.get().len();
        if bytes <= INPUT_BYTES {
            return Ok(());
        }
        Err(format!("event and context together may have {INPUT_BYTES} bytes, have {bytes}."))
    }
}

/// Returns `{}`.
pub fn empty_object() -> JsonObject {
    RawValue::from_string("{}".to_owned()).expect("{} is JSON")
}

fn variables(fields: &mut Fields) -> Option<JsonObject> {
    let variables = fields.object("variables")?;
    if variables.get().len() > INPUT_BYTES {
        fields.errors.add("variables", format!("May have {INPUT_BYTES} bytes at most."));
    }
    Some(variables)
}

/// A request to execute a script.
#[derive(Debug, ToSchema)]
#[schema(as = ExecutionInput)]
pub(crate) struct ExecutionRequest {
    pub script_id: Uuid,
    #[schema(required = false, schema_with = trigger_schema)]
    pub trigger_type: TriggerType,
    /// Event that the script handles.
    #[schema(required = false, schema_with = schemas::input_object)]
    pub event: JsonObject,
    /// Origin of the request, such as its automation.
    #[schema(required = false, schema_with = schemas::input_object)]
    pub context: JsonObject,
    /// Values by key, over the script's defaults.
    #[schema(required = false, schema_with = schemas::variables_object)]
    pub variables: JsonObject,
}

fn trigger_schema() -> RefOr<Schema> {
    schemas::texts(TRIGGERS.into_iter().map(TriggerType::as_str))
}

impl ReadFields for ExecutionRequest {
    fn read(fields: &mut Fields) -> Option<Self> {
        let script_id = fields.required("script_id");
        let trigger_type = validation::choice(fields, "trigger_type", &TRIGGERS).unwrap_or(TriggerType::Api);
        let Input { event, context } = Input::read(fields);
        let variables = variables(fields).unwrap_or_else(empty_object);
        Some(Self { script_id: script_id?, trigger_type, event, context, variables })
    }
}

/// A request to run unsaved code.
#[derive(Debug, ToSchema)]
pub(crate) struct TestRun {
    #[schema(min_length = 1, max_length = 262_144)]
    pub code: String,
    #[schema(required = false, schema_with = schemas::code_type)]
    pub code_type: CodeType,
    #[schema(required = false, schema_with = schemas::test_input)]
    pub input: Input,
    #[schema(required = false, schema_with = schemas::variables_object)]
    pub variables: JsonObject,
    /// Secrets of this run only, over the workspace's environment; 64 KiB together.
    #[schema(required = false, schema_with = schemas::env)]
    pub env: BTreeMap<String, String>,
    #[schema(required = false)]
    pub allowed_domains: Vec<String>,
}

impl ReadFields for TestRun {
    fn read(fields: &mut Fields) -> Option<Self> {
        fields.require(&["code"]);
        let code = validation::code(fields);
        let code_type = validation::choice(fields, "code_type", CodeType::ALL).unwrap_or(CodeType::MainFn);
        let input = match fields.inner("input") {
            Some(mut inner) => {
                let input = Input::read(&mut inner);
                fields.finish_inner("input", inner);
                input
            }
            None => Input { event: empty_object(), context: empty_object() },
        };
        let variables = variables(fields).unwrap_or_else(empty_object);
        let env = validation::env(fields).unwrap_or_default();
        let allowed_domains = validation::allowed_domains(fields).unwrap_or_default();
        Some(Self { code: code?, code_type, input, variables, env, allowed_domains })
    }
}

/// The version of the script that a replay runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ReplayVersion {
    /// The version of the execution that is repeated.
    #[default]
    Same,
    /// The newest version of the script.
    Newest,
    Number(i32),
}

/// A request to repeat an execution. Fields that are left out keep the values of the first one.
#[derive(Debug, ToSchema)]
#[schema(as = ReplayInput)]
pub(crate) struct ReplayRequest {
    /// A version of the script, or `newest`.
    #[schema(required = false, schema_with = schemas::replay_version)]
    pub version: ReplayVersion,
    #[schema(required = false, schema_with = schemas::input_object)]
    pub event: Option<JsonObject>,
    #[schema(required = false, schema_with = schemas::input_object)]
    pub context: Option<JsonObject>,
    #[schema(required = false, schema_with = schemas::variables_object)]
    pub variables: Option<JsonObject>,
}

impl ReadFields for ReplayRequest {
    fn read(fields: &mut Fields) -> Option<Self> {
        let version = match fields.nullable::<serde_json::Value>("version") {
            None => ReplayVersion::Same,
            Some(serde_json::Value::String(text)) if text == "newest" => ReplayVersion::Newest,
            Some(value) => {
                let Some(number) = value.as_i64().and_then(|number| i32::try_from(number).ok()) else {
                    fields.errors.add("version", "Must be the number of a version, or \"newest\".");
                    return None;
                };
                ReplayVersion::Number(number)
            }
        };
        let (event, context) = (fields.object("event"), fields.object("context"));
        Some(Self { version, event, context, variables: variables(fields) })
    }
}

impl ReplayRequest {
    /// Returns the input of the replay: the parts that the request gives, and the stored parts for the rest. An input
    /// that is wholly the stored one is not checked against the limit again.
    pub(crate) fn input(self, event: JsonObject, context: JsonObject) -> Result<Input, FieldErrors> {
        let field = match (&self.event, &self.context) {
            (None, None) => return Ok(Input { event, context }),
            (Some(_), _) => "event",
            (None, Some(_)) => "context",
        };
        let input = Input { event: self.event.unwrap_or(event), context: self.context.unwrap_or(context) };
        input.check().map_err(|rule| FieldErrors::one(field, rule))?;
        Ok(input)
    }
}

/// The progress of an execution. Everything that an answer shows of it follows from these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    pub status: Status,
    pub attempt: i32,
    /// Highest number of its log lines; 0 before the first.
    pub last_seq: i32,
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::http::fields::parse;

    #[test]
    fn only_the_script_must_be_named() {
        let request: ExecutionRequest =
            parse(br#"{"script_id": "01900000-0000-7000-8000-000000000000", "context": null}"#).unwrap();
        assert_eq!((request.trigger_type, request.event.get()), (TriggerType::Api, "{}"));
    }

    #[test]
    fn wrong_fields_of_an_execution_are_named() {
        let error =
            parse::<ExecutionRequest>(br#"{"script_id": 7, "event": [], "trigger_type": "test", "x": 1}"#)
                .unwrap_err()
                .to_string();
        assert!(error.starts_with("event: Must be a JSON object.; script_id: invalid type"), "{error}");
        assert!(
            error.contains("trigger_type: Must be one of automation, workflow_transition, cron, api."),
            "{error}"
        );
        assert!(error.ends_with("x: Unknown field."), "{error}");
    }

    #[test]
    fn wrong_fields_inside_the_input_are_named() {
        let error = parse::<TestRun>(br#"{"code": "1", "input": {"evnt": {}, "context": 1}}"#).unwrap_err();
        assert_eq!(error.to_string(), "input.context: Must be a JSON object.; input.evnt: Unknown field.");
    }

    #[test]
    fn a_replay_names_a_version() {
        assert_eq!(parse::<ReplayRequest>(b"{}").unwrap().version, ReplayVersion::Same);
        assert_eq!(
            parse::<ReplayRequest>(br#"{"version": "newest"}"#).unwrap().version,
            ReplayVersion::Newest
        );
        assert_eq!(parse::<ReplayRequest>(br#"{"version": 2}"#).unwrap().version, ReplayVersion::Number(2));
        assert!(parse::<ReplayRequest>(br#"{"version": "old"}"#).is_err());
    }
}
