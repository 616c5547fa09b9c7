//! Scripts, which users write and automations run.

use super::{schemas, validation};
use builder::Diagnostic;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use shared::{
    execution::{CodeType, TriggerType},
    http::fields::{Fields, ReadFields},
    limits::INPUT_BYTES,
};
use std::collections::{BTreeMap, BTreeSet};
use utoipa::{
    ToSchema,
    openapi::{RefOr, Schema},
};
use uuid::Uuid;

/// The only platform.
pub(crate) const PLATFORM: &str = "node22";
/// Triggers that a script may have.
pub(crate) const TRIGGERS: [TriggerType; 3] =
    [TriggerType::Automation, TriggerType::WorkflowTransition, TriggerType::Cron];
const MAX_CATEGORY: usize = 64;
const MAX_VARIABLES: usize = 100;
/// Limits the bytes of all defaults of a script, as its column holds them: `jsonb` writes `1e300` out in 301 digits.
const MAX_DEFAULT_BYTES: usize = INPUT_BYTES;
const MAX_RETRIES: i32 = 10;
/// Limits the seconds before the first repetition: one day.
const MAX_BACKOFF_S: i32 = 86_400;
const DEFAULT_BACKOFF_S: i32 = 10;
/// Names that the second argument of `main` already has.
const RESERVED_VARIABLES: [&str; 6] = ["Plane", "Functions", "ENV", "Variables", "__proto__", "constructor"];
/// Fields of answers that a request may contain but not set: clients that edit what they read send them back.
const READ_ONLY: [&str; 9] = [
    "id",
    "build_hash",
    "function_names",
    "is_system",
    "version",
    "created_at",
    "updated_at",
    "diagnostics",
    "workspace",
];

/// A value that an execution passes to the script.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct VariableDefinition {
    /// Name under which the script finds the value.
    #[schema(min_length = 1, max_length = 100)]
    pub key: String,
    #[serde(default)]
    pub description: String,
    /// An execution without a value is rejected.
    #[serde(default)]
    pub required: bool,
    /// Used when an execution gives no value; null is no default.
    #[serde(default)]
    pub default: Value,
}

/// A script as it is read.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Script {
    pub id: Uuid,
    pub name: String,
    pub description: String,
    /// Category under which it is listed, such as `notifications`; may be empty.
    pub category: String,
    /// Always `node22`.
    pub platform: String,
    #[schema(schema_with = schemas::code_type)]
    pub code_type: String,
    #[schema(schema_with = trigger_schema)]
    pub trigger_type: String,
    pub code: String,
    /// SHA-256 of the build, in hexadecimal.
    pub build_hash: String,
    pub variables: Vec<VariableDefinition>,
    /// The script's own environment, over the workspace's. Every value reads `********`.
    pub env: BTreeMap<String, String>,
    pub allowed_domains: Vec<String>,
    /// Number of times that a run is repeated after an error of the script.
    pub max_retries: i32,
    /// Seconds before the first repetition; doubled for every further one.
    pub retry_backoff_s: i32,
    /// Names of all functions that the script needs, also through other functions.
    pub function_names: Vec<String>,
    /// System scripts are in every workspace and read-only.
    pub is_system: bool,
    pub version: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// A script that was just saved, with the findings of its build.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct SavedScript {
    #[serde(flatten)]
    pub script: Script,
    /// Warnings of the build; empty if the code did not change.
    #[schema(value_type = Vec<schemas::Diagnostic>)]
    pub diagnostics: Vec<Diagnostic>,
}

/// An immutable build of a script.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct ScriptVersion {
    pub script_id: Uuid,
    pub version: i32,
    pub code: String,
    #[schema(schema_with = schemas::code_type)]
    pub code_type: String,
    pub build_hash: String,
    /// The builds of functions that it runs with.
    pub functions: Vec<FunctionPin>,
    pub created_at: DateTime<Utc>,
}

/// The exact build of a function that a version runs with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FunctionPin {
    pub name: String,
    pub build_hash: String,
}

/// All fields of a script (POST and PUT). A field that is left out takes its default.
#[derive(Clone, Debug, ToSchema)]
#[schema(as = ScriptInput)]
pub(crate) struct ScriptDraft {
    /// Unique in the workspace.
    #[schema(min_length = 1, max_length = 255)]
    pub name: String,
    #[schema(required = false, max_length = 10_000, default = "")]
    pub description: String,
    #[schema(required = false, max_length = 64, default = "")]
    pub category: String,
    #[schema(required = false, schema_with = schemas::code_type)]
    pub code_type: CodeType,
    #[schema(required = false, schema_with = trigger_schema)]
    pub trigger_type: TriggerType,
    /// JavaScript or TypeScript, 256 KiB at most.
    #[schema(min_length = 1, max_length = 262_144)]
    pub code: String,
    #[schema(required = false)]
    pub variables: Vec<VariableDefinition>,
    /// Secrets, 64 KiB together. `********` keeps the stored value of a key.
    #[schema(required = false, schema_with = schemas::env)]
    pub env: BTreeMap<String, String>,
    #[schema(required = false)]
    pub allowed_domains: Vec<String>,
    #[schema(required = false, minimum = 0, maximum = 10, default = 0)]
    pub max_retries: i32,
    #[schema(required = false, minimum = 1, maximum = 86_400, default = 10)]
    pub retry_backoff_s: i32,
}

/// The fields of a script that change (PATCH).
#[derive(Clone, Debug, Default, ToSchema)]
pub(crate) struct ScriptPatch {
    #[schema(min_length = 1, max_length = 255, nullable = false)]
    pub name: Option<String>,
    #[schema(max_length = 10_000, nullable = false)]
    pub description: Option<String>,
    #[schema(max_length = 64, nullable = false)]
    pub category: Option<String>,
    #[schema(schema_with = schemas::code_type)]
    pub code_type: Option<CodeType>,
    #[schema(schema_with = trigger_schema)]
    pub trigger_type: Option<TriggerType>,
    #[schema(min_length = 1, max_length = 262_144, nullable = false)]
    pub code: Option<String>,
    #[schema(nullable = false)]
    pub variables: Option<Vec<VariableDefinition>>,
    #[schema(schema_with = schemas::env)]
    pub env: Option<BTreeMap<String, String>>,
    #[schema(nullable = false)]
    pub allowed_domains: Option<Vec<String>>,
    #[schema(minimum = 0, maximum = 10, nullable = false)]
    pub max_retries: Option<i32>,
    #[schema(minimum = 1, maximum = 86_400, nullable = false)]
    pub retry_backoff_s: Option<i32>,
}

impl ReadFields for ScriptPatch {
    fn read(fields: &mut Fields) -> Option<Self> {
        fields.ignore(&READ_ONLY);
        let platform: Option<String> = fields.optional("platform");
        if platform.is_some_and(|platform| platform != PLATFORM) {
            fields.errors.add("platform", format!("Must be {PLATFORM}."));
        }
        Some(Self {
            name: validation::name(fields, "name"),
            description: validation::description(fields),
            category: validation::text(fields, "category", 0..=MAX_CATEGORY),
            code_type: validation::choice(fields, "code_type", CodeType::ALL),
            trigger_type: validation::choice(fields, "trigger_type", &TRIGGERS),
            code: validation::code(fields),
            variables: variables(fields),
            env: validation::env(fields),
            allowed_domains: validation::allowed_domains(fields),
            max_retries: validation::number(fields, "max_retries", 0..=MAX_RETRIES),
            retry_backoff_s: validation::number(fields, "retry_backoff_s", 1..=MAX_BACKOFF_S),
        })
    }
}

impl ReadFields for ScriptDraft {
    fn read(fields: &mut Fields) -> Option<Self> {
        fields.require(&["name", "code"]);
        let patch = ScriptPatch::read(fields)?;
        Some(Self {
            name: patch.name?,
            description: patch.description.unwrap_or_default(),
            category: patch.category.unwrap_or_default(),
            code_type: patch.code_type.unwrap_or(CodeType::MainFn),
            trigger_type: patch.trigger_type.unwrap_or(TriggerType::Automation),
            code: patch.code?,
            variables: patch.variables.unwrap_or_default(),
            env: patch.env.unwrap_or_default(),
            allowed_domains: patch.allowed_domains.unwrap_or_default(),
            max_retries: patch.max_retries.unwrap_or(0),
            retry_backoff_s: patch.retry_backoff_s.unwrap_or(DEFAULT_BACKOFF_S),
        })
    }
}

fn trigger_schema() -> RefOr<Schema> {
    schemas::texts(TRIGGERS.into_iter().map(TriggerType::as_str))
}

fn variables(fields: &mut Fields) -> Option<Vec<VariableDefinition>> {
    let variables: Vec<VariableDefinition> = validation::list(fields, "variables", MAX_VARIABLES)?;
    let mut keys = BTreeSet::new();
    for VariableDefinition { key, description, default, .. } in &variables {
        let shown: String = key.chars().take(100).collect();
        if key.trim().is_empty() || key.chars().count() > 100 || key.contains('\0') {
            fields.errors.add("variables", format!("{shown:?} is not a key: 1 to 100 characters."));
        } else if RESERVED_VARIABLES.contains(&key.as_str()) {
            fields.errors.add("variables", format!("{shown:?} is a name that scripts already have."));
        } else if !keys.insert(key) {
            fields.errors.add("variables", format!("{shown:?} is defined more than once."));
        }
        if description.chars().count() > 1_000 || description.contains('\0') {
            fields
                .errors
                .add("variables", format!("{shown:?}: the description may have 1000 characters, no NUL."));
        }
        if validation::contains_nul(default) {
            fields
                .errors
                .add("variables", format!("{shown:?}: the default must not hold the NUL character."));
        }
    }
    let bytes =
        variables.iter().map(|variable| validation::plain_json_bytes(&variable.default)).sum::<usize>();
    if bytes > MAX_DEFAULT_BYTES {
        let rule = format!(
            "The defaults together may have {MAX_DEFAULT_BYTES} bytes, numbers written without exponents."
        );
        fields.errors.add("variables", rule);
    }
    Some(variables)
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::http::fields::parse;

    #[test]
    fn a_script_needs_only_a_name_and_code() {
        let draft: ScriptDraft = parse(br#"{"name": " Greet ", "code": "export default () => 1"}"#).unwrap();
        assert_eq!(
            (draft.name.as_str(), draft.code_type, draft.trigger_type),
            ("Greet", CodeType::MainFn, TriggerType::Automation)
        );
    }

    #[test]
    fn a_script_that_was_read_can_be_sent_back() {
        let body = br#"{"id": "x", "version": 3, "is_system": false, "platform": "node22", "name": "n", "code": "1"}"#;
        assert!(parse::<ScriptDraft>(body).is_ok());
    }

    #[test]
    fn a_nul_character_in_a_default_is_named() {
        let problems = |default: &str| {
            let body = format!(
                r#"{{"name": "n", "code": "1", "variables": [{{"key": "a", "default": {default}}}]}}"#
            );
            parse::<ScriptDraft>(body.as_bytes()).map(drop).map_err(|error| error.to_string())
        };
        assert_eq!(problems(r#"{"__proto__": [1e308, -0, "é"]}"#), Ok(()));
        let nul = "variables: \"a\": the default must not hold the NUL character.";
        assert_eq!(problems(r#"[{"\u0000": 1}]"#), Err(nul.into()));
        assert_eq!(problems(r#"[["\u0000"]]"#), Err(nul.into()));
        assert_eq!(problems("1e400"), Err("variables: At [0].default: number out of range.".into()));
        let half = problems(r#""\ud83d""#).unwrap_err();
        assert!(half.starts_with("variables: At [0].default: text may not hold half"), "{half}");
        let many = |number: &str, count: usize| format!("[{}0]", format!("{number},").repeat(count));
        assert_eq!(problems(&many("1e300", 800)), Ok(()));
        let large =
            "variables: The defaults together may have 262144 bytes, numbers written without exponents.";
        assert_eq!(problems(&many("1e300", 1_000)), Err(large.into()));
        assert_eq!(problems(&many("1e-300", 1_000)), Err(large.into()));
        assert_eq!(problems(&format!("\"{}\"", "x".repeat(262_144))), Err(large.into()));
    }

    #[test]
    fn every_broken_rule_is_named() {
        let body = br#"{"name": "", "code_type": "esm", "trigger_type": "test", "max_retries": 11, "platform": "deno",
            "variables": [{"key": "a"}, {"key": "a"}, {"key": "ENV"}], "env": {"A B": "1"}, "allowed_domains": ["https://x"]}"#;
        let error = parse::<ScriptDraft>(body).unwrap_err().to_string();
        for part in [
            "allowed_domains: \"https://x\" is an address",
            "code: This field is required.",
            "code_type: Must be one of main_fn, raw.",
            "env: \"A B\" is not a key",
            "max_retries: Must be from 0 to 10.",
            "name: This field may not be blank.",
            "platform: Must be node22.",
            "trigger_type: Must be one of automation, workflow_transition, cron.",
            "variables: \"a\" is defined more than once. \"ENV\" is a name that scripts already have.",
        ] {
            assert!(error.contains(part), "{part} in {error}");
        }
    }
}
