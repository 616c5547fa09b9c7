//! Schedules: cron triggers of scripts.

use super::{
    cron::Recurrence,
    execution::{JsonObject, empty_object},
    schemas, validation,
};
use chrono::{DateTime, Utc};
use serde::Serialize;
use shared::{
    http::fields::{Fields, ReadFields},
    limits::INPUT_BYTES,
};
use utoipa::{
    ToSchema,
    openapi::{RefOr, Schema},
};
use uuid::Uuid;

/// Policies for runs that were due while no process could fire them.
pub(crate) const CATCH_UP: [&str; 2] = ["none", "latest"];
const MAX_CRON: usize = 200;
const MAX_TIMEZONE: usize = 64;
/// Limits the jitter, in seconds: one hour.
const MAX_JITTER_S: i32 = 3_600;
const READ_ONLY: [&str; 8] = [
    "id",
    "next_run_at",
    "last_run_at",
    "last_execution_id",
    "missed_runs",
    "created_at",
    "updated_at",
    "workspace",
];

/// A schedule as it is read.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Schedule {
    pub id: Uuid,
    pub script_id: Uuid,
    pub cron: String,
    pub timezone: String,
    #[schema(schema_with = schemas::json_object)]
    pub variables: JsonObject,
    pub enabled: bool,
    pub jitter_s: i32,
    #[schema(schema_with = catch_up_schema)]
    pub catch_up: String,
    /// Null while it is disabled.
    pub next_run_at: Option<DateTime<Utc>>,
    pub last_run_at: Option<DateTime<Utc>>,
    pub last_execution_id: Option<Uuid>,
    /// Number of runs that were due while no process could fire them, and were not made up for.
    pub missed_runs: i64,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// All fields of a schedule (POST and PUT). A field that is left out takes its default.
#[derive(Clone, Debug, ToSchema)]
#[schema(as = ScheduleInput)]
pub(crate) struct ScheduleDraft {
    pub script_id: Uuid,
    /// Minute, hour, day of month, month, day of week; or `@hourly`, `@daily`, `@midnight`, `@weekly`, `@monthly`,
    /// `@yearly`, `@annually`. When clocks change, runs are as under Debian's cron: unless minute or hour begin with `*`,
    /// a skipped time runs at the change, and one that occurs twice runs once.
    #[schema(example = "0 9 * * 1-5", max_length = 200)]
    pub cron: String,
    /// IANA name.
    #[schema(required = false, example = "Europe/Berlin", default = "UTC", max_length = 64)]
    pub timezone: String,
    /// Values by key, over the script's defaults.
    #[schema(required = false, schema_with = schemas::variables_object)]
    pub variables: JsonObject,
    #[schema(required = false, default = true)]
    pub enabled: bool,
    /// A run starts up to this many seconds late, at random.
    #[schema(required = false, minimum = 0, maximum = 3_600, default = 0)]
    pub jitter_s: i32,
    /// `latest` makes up for the latest run that no process could fire; `none` makes up for no run.
    #[schema(required = false, schema_with = catch_up_schema)]
    pub catch_up: String,
}

/// The fields of a schedule that change (PATCH).
#[derive(Clone, Debug, ToSchema)]
pub(crate) struct SchedulePatch {
    #[schema(nullable = false)]
    pub script_id: Option<Uuid>,
    #[schema(example = "0 9 * * 1-5", max_length = 200, nullable = false)]
    pub cron: Option<String>,
    #[schema(example = "Europe/Berlin", max_length = 64, nullable = false)]
    pub timezone: Option<String>,
    #[schema(schema_with = schemas::variables_object)]
    pub variables: Option<JsonObject>,
    #[schema(nullable = false)]
    pub enabled: Option<bool>,
    #[schema(minimum = 0, maximum = 3_600, nullable = false)]
    pub jitter_s: Option<i32>,
    #[schema(schema_with = catch_up_schema)]
    pub catch_up: Option<String>,
}

impl ReadFields for SchedulePatch {
    fn read(fields: &mut Fields) -> Option<Self> {
        fields.ignore(&READ_ONLY);
        let catch_up = fields.optional::<String>("catch_up");
        if catch_up.as_deref().is_some_and(|choice| !CATCH_UP.contains(&choice)) {
            fields.errors.add("catch_up", format!("Must be one of {}.", CATCH_UP.join(", ")));
        }
        let variables = fields.object("variables");
        if variables.as_ref().is_some_and(|text| text.get().len() > INPUT_BYTES) {
            fields.errors.add("variables", format!("May have {INPUT_BYTES} bytes at most."));
        }
        Some(Self {
            script_id: fields.optional("script_id"),
            cron: validation::text(fields, "cron", 1..=MAX_CRON),
            timezone: validation::text(fields, "timezone", 1..=MAX_TIMEZONE),
            variables,
            enabled: fields.optional("enabled"),
            jitter_s: validation::number(fields, "jitter_s", 0..=MAX_JITTER_S),
            catch_up,
        })
    }
}

impl ReadFields for ScheduleDraft {
    fn read(fields: &mut Fields) -> Option<Self> {
        fields.require(&["script_id", "cron"]);
        let patch = SchedulePatch::read(fields)?;
        let draft = Self {
            script_id: patch.script_id?,
            cron: patch.cron?,
            timezone: patch.timezone.unwrap_or_else(|| "UTC".to_owned()),
            variables: patch.variables.unwrap_or_else(empty_object),
            enabled: patch.enabled.unwrap_or(true),
            jitter_s: patch.jitter_s.unwrap_or(0),
            catch_up: patch.catch_up.unwrap_or_else(|| "latest".to_owned()),
        };
        if let Err(error) = Recurrence::parse(&draft.cron, &draft.timezone) {
            fields.errors.add(error.field(), error.to_string());
        }
        Some(draft)
    }
}

fn catch_up_schema() -> RefOr<Schema> {
    schemas::texts(CATCH_UP.into_iter())
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::http::fields::parse;

    #[test]
    fn an_expression_or_zone_that_can_t_be_read_is_named() {
        let schedule = |cron: &str, zone: &str| {
            let body = format!(
                r#"{{"script_id": "01900000-0000-7000-8000-000000000000", "cron": "{cron}", "timezone": "{zone}"}}"#
            );
            parse::<ScheduleDraft>(body.as_bytes()).map_err(|error| error.to_string())
        };
        assert!(schedule("0 9 * * 1-5", "Europe/Berlin").is_ok());
        assert!(schedule("* * *", "UTC").unwrap_err().starts_with("cron: Must have five fields"));
        assert!(schedule("0 0 30 2 *", "UTC").unwrap_err().starts_with("cron: "));
        assert!(schedule("0 9 * * *", "Mars/Base").unwrap_err().starts_with("timezone: "));
    }
}
