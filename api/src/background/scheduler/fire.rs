//! Fires one schedule.

use crate::{
    db::{
        self,
        due_schedules::{self, Advance, DueSchedule},
        enqueue::{self, BACKGROUND, Mode, Submission},
        outbox,
        script_versions::Version,
    },
    model::{
        cron::{Due, Recurrence},
        execution::{Input, empty_object},
        execution_ids, variables,
    },
};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{json, value::to_raw_value};
use shared::{execution::TriggerType, telemetry::traces};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

/// Limit of lateness beyond which an occurrence counts as missed; the schedule's policy then decides whether it runs.
const GRACE: TimeDelta = TimeDelta::seconds(60);

/// Result of [`fire_next`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fired {
    /// Nothing is due.
    Nothing,
    /// An execution was submitted.
    Run,
    /// The schedule advanced without an execution.
    Skipped,
}

/// Decides whether the latest due occurrence runs, and counts the missed ones.
fn plan(due: Due, now: DateTime<Utc>, catch_up: &str) -> (bool, usize) {
    let late = now - due.latest > GRACE;
    if late && catch_up == "none" { (false, due.earlier + 1) } else { (true, due.earlier) }
}

/// Fires the schedule that is due longest, if it is not being fired elsewhere.
pub(super) async fn fire_next(pool: &PgPool) -> sqlx::Result<Fired> {
    let mut transaction = pool.begin().await?;
    let Some(schedule) = due_schedules::lock_next(&mut transaction).await? else { return Ok(Fired::Nothing) };
    // Stored schedules were checked; one this build can't read any more stops until it is saved again.
    let recurrence = Recurrence::parse(&schedule.cron, &schedule.timezone).ok();
    let next = recurrence.as_ref().and_then(|recurrence| recurrence.next_after(schedule.now));
    let due = recurrence.map_or(Due { latest: schedule.due, earlier: 0 }, |recurrence| {
        recurrence.until(schedule.due, schedule.now)
    });
    let (runs, missed) = plan(due, schedule.now, &schedule.catch_up);
    let execution =
        if runs { submit_run(pool, &mut transaction, &schedule, due.latest).await? } else { None };
    let missed = if runs && execution.is_none() { missed + 1 } else { missed };
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

/// Submits the run. Returns `None` if the script is gone, or requires a variable that the schedule does not have.
async fn submit_run(
    pool: &PgPool,
    connection: &mut PgConnection,
    schedule: &DueSchedule,
    occurrence: DateTime<Utc>,
) -> sqlx::Result<Option<Uuid>> {
    let found = db::script_versions::newest(pool, schedule.workspace_id, schedule.script_id).await?;
    let Some(Version { runnable, definitions, .. }) = found else {
        tracing::warn!(schedule_id = %schedule.id, "a schedule without its script");
        return Ok(None);
    };
    let variables = match variables::complete(&schedule.variables.0, &definitions) {
        Ok(variables) => variables,
        Err(errors) => {
            tracing::warn!(schedule_id = %schedule.id, %errors, "a schedule that misses variables");
            return Ok(None);
        }
    };
    let event = json!({ "event_type": "schedule", "entity_type": "schedule", "entity_id": schedule.id,
        "workspace_id": schedule.workspace_id, "timestamp": occurrence });
    let context = json!({ "schedule_id": schedule.id });
    let raw = |value| to_raw_value(&value).unwrap_or_else(|_| empty_object());
    let id = execution_ids::next();
    let mut accept = traces::accept(None);
    accept.set_execution_id(id);
    let submission = Submission {
        id,
        workspace_id: schedule.workspace_id,
        trigger_type: TriggerType::Cron,
        runnable,
        input: Input { event: raw(event), context: raw(context) },
        variables,
        env_sealed: None,
        priority: BACKGROUND,
        traceparent: accept.traceparent(),
        replay_of: None,
    };
    // By the relay: the delay may still move its time, and no client waits for it.
    let _inserted = enqueue::insert(connection, &submission, Mode::Relay).await?;
    if schedule.jitter_s > 0 {
        outbox::delay_at_random(connection, submission.id, schedule.jitter_s).await?;
    }
    Ok(Some(submission.id))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(seconds_ago: i64, earlier: usize) -> (Due, DateTime<Utc>) {
        let now = Utc::now();
        (Due { latest: now - TimeDelta::seconds(seconds_ago), earlier }, now)
    }

    #[test]
    fn an_occurrence_on_time_runs_under_every_policy() {
        let (due, now) = due(1, 0);
        assert_eq!(plan(due, now, "none"), (true, 0));
        assert_eq!(plan(due, now, "latest"), (true, 0));
    }

    #[test]
    fn after_an_outage_the_policy_decides_on_the_latest_occurrence() {
        let (due, now) = due(600, 3);
        assert_eq!(plan(due, now, "latest"), (true, 3));
        assert_eq!(plan(due, now, "none"), (false, 4));
    }
}
