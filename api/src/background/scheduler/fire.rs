//! Fires a schedule: submits the execution of its latest occurrence, and advances it.

use crate::{
    db::{
        self,
        due_schedules::{self, Advance, DueSchedule},
        enqueue::{self, Mode, Submission},
        outbox,
        script_versions::Version,
    },
    model::{
        cron::{Due, Recurrence},
        error::FieldErrors,
        execution::{Input, empty_object},
        execution_ids, variables,
    },
};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{json, value::to_raw_value};
use shared::{delivery::priority, execution::TriggerType, telemetry::traces};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

/// Limits the lateness of an occurrence, in seconds. A later one counts as missed, and the schedule's policy decides
/// whether it runs.
const GRACE: TimeDelta = TimeDelta::seconds(60);

/// Result of [`fire_next`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fired {
    /// No schedule is due.
    NothingDue,
    /// An execution was submitted.
    Run,
    /// The schedule advanced without an execution.
    Skipped,
}

/// Returns the number of runs to submit for the latest due occurrence, and the number of missed runs.
fn plan(due: Due, now: DateTime<Utc>, catch_up: &str) -> (usize, usize) {
    let is_late = now - due.latest > GRACE;
    let runs = match catch_up {
        "none" if is_late => 0,
        _ if is_late => 1,
        _ => due.runs,
    };
    (runs, due.earlier + due.runs - runs)
}

/// Fires the schedule that has been due longest. Skips schedules that another process is firing.
pub(super) async fn fire_next(pool: &PgPool) -> sqlx::Result<Fired> {
    let mut transaction = pool.begin().await?;
    let Some(schedule) = due_schedules::lock_next(&mut transaction).await? else {
        return Ok(Fired::NothingDue);
    };
    // Schedules are checked when they are saved. One that this version can't read stops until it is saved again.
    let recurrence = Recurrence::parse(&schedule.cron, &schedule.timezone).ok();
    let next = recurrence.as_ref().and_then(|recurrence| recurrence.next_after(schedule.now));
    let due = recurrence.map_or(Due { latest: schedule.due, runs: 1, earlier: 0 }, |recurrence| {
        recurrence.until(schedule.due, schedule.now)
    });
    let (runs, mut missed) = plan(due, schedule.now, &schedule.catch_up);
    let mut execution = None;
    for run in 0..runs {
        execution = submit_run(pool, &mut transaction, &schedule, due.latest).await?;
        if execution.is_none() {
            missed += runs - run;
            break;
        }
    }
    let advance = Advance {
        next_run_at: next,
        last_run_at: execution.is_some().then_some(due.latest),
        last_execution_id: execution,
        missed_runs: i64::try_from(missed).unwrap_or(i64::MAX),
    };
    due_schedules::advance(&mut transaction, schedule.id, &advance).await?;
    transaction.commit().await?;
    Ok(if execution.is_some() { Fired::Run } else { Fired::Skipped })
}

/// Inserts the execution of an occurrence. Returns `None` if the script was deleted, or requires a variable that the
/// schedule does not have.
async fn submit_run(
    pool: &PgPool,
    connection: &mut PgConnection,
    schedule: &DueSchedule,
    occurrence: DateTime<Utc>,
) -> sqlx::Result<Option<Uuid>> {
    let script = db::script_versions::newest(pool, schedule.workspace_id, schedule.script_id).await?;
    let Some(script) = script else {
        tracing::warn!(schedule_id = %schedule.id, "a schedule was skipped: its script does not exist");
        return Ok(None);
    };
    let mut accept = traces::accept(None);
    let submission = match submission(schedule, script, occurrence, accept.traceparent()) {
        Ok(submission) => submission,
        Err(errors) => {
            tracing::warn!(schedule_id = %schedule.id, %errors, "a schedule was skipped: its variables are invalid");
            return Ok(None);
        }
    };
    accept.set_execution_id(submission.id);
    // Left to the relay, since the delay may still change its time, and no client waits for it.
    let _inserted = enqueue::insert(connection, &submission, Mode::Relay).await?;
    if schedule.jitter_s > 0 {
        outbox::delay_at_random(connection, submission.id, schedule.jitter_s).await?;
    }
    Ok(Some(submission.id))
}

/// Returns the execution of an occurrence. Fails if the schedule lacks a variable that the script requires.
fn submission(
    schedule: &DueSchedule,
    script: Version,
    occurrence: DateTime<Utc>,
    traceparent: Option<String>,
) -> Result<Submission, FieldErrors> {
    let event = json!({
        "event_type": "schedule",
        "entity_type": "schedule",
        "entity_id": schedule.id,
        "workspace_id": schedule.workspace_id,
        "timestamp": occurrence,
    });
    let context = json!({ "schedule_id": schedule.id });
    let raw = |value| to_raw_value(&value).unwrap_or_else(|_| empty_object());
    Ok(Submission {
        id: execution_ids::next(),
        workspace_id: schedule.workspace_id,
        trigger_type: TriggerType::Cron,
        input: Input { event: raw(event), context: raw(context) },
        variables: variables::complete(&schedule.variables.0, &script.definitions)?,
        runnable: script.runnable,
        env_sealed: None,
        priority: priority::BACKGROUND,
        traceparent,
        replay_of: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        db::{enqueue::Runnable, script_versions::RowVersion},
        model::script::VariableDefinition,
    };
    use serde_json::value::RawValue;
    use sqlx::types::Json;

    fn schedule(variables: &str) -> DueSchedule {
        DueSchedule {
            id: Uuid::nil(),
            workspace_id: Uuid::nil(),
            script_id: Uuid::nil(),
            cron: "0 9 * * *".into(),
            timezone: "UTC".into(),
            variables: Json(RawValue::from_string(variables.into()).unwrap()),
            jitter_s: 0,
            catch_up: "latest".into(),
            due: Utc::now(),
            now: Utc::now(),
        }
    }

    fn script(definitions: &[VariableDefinition]) -> Version {
        let runnable = Runnable {
            script: Some((Uuid::nil(), 1)),
            build_hash: String::new(),
            code_type: "main_fn".into(),
            functions: Vec::new(),
            allowed_domains: Vec::new(),
            max_retries: 0,
        };
        Version { runnable, definitions: definitions.to_vec(), row_version: RowVersion(1) }
    }

    fn due(seconds_ago: i64, earlier: usize) -> (Due, DateTime<Utc>) {
        let now = Utc::now();
        (Due { latest: now - TimeDelta::seconds(seconds_ago), runs: 1, earlier }, now)
    }

    #[test]
    fn the_execution_of_a_schedule_names_its_occurrence() {
        let occurrence = "2026-03-01T09:00:00Z".parse().unwrap();
        let submission = submission(&schedule("{}"), script(&[]), occurrence, None).unwrap();
        assert!(submission.input.event.get().contains(r#""timestamp":"2026-03-01T09:00:00Z""#));
        assert_eq!(submission.trigger_type, TriggerType::Cron);
    }

    #[test]
    fn a_schedule_without_a_required_variable_is_not_submitted() {
        let required = [VariableDefinition {
            key: "name".into(),
            description: String::new(),
            required: true,
            default: serde_json::Value::Null,
        }];
        assert!(submission(&schedule("{}"), script(&required), Utc::now(), None).is_err());
        assert!(submission(&schedule(r#"{"name": "x"}"#), script(&required), Utc::now(), None).is_ok());
    }

    #[test]
    fn an_occurrence_on_time_runs_under_every_policy() {
        let (due, now) = due(1, 0);
        assert_eq!(plan(due, now, "none"), (1, 0));
        assert_eq!(plan(due, now, "latest"), (1, 0));
    }

    #[test]
    fn times_skipped_together_all_run_unless_they_are_late() {
        let (mut due, now) = due(1, 2);
        due.runs = 3;
        assert_eq!(plan(due, now, "latest"), (3, 2));
        due.latest = now - GRACE * 2;
        assert_eq!(plan(due, now, "latest"), (1, 4));
        assert_eq!(plan(due, now, "none"), (0, 5));
    }

    #[test]
    fn after_an_outage_the_policy_decides_on_the_latest_occurrence() {
        let (due, now) = due(600, 3);
        assert_eq!(plan(due, now, "latest"), (1, 3));
        assert_eq!(plan(due, now, "none"), (0, 4));
    }
}
