//! Creates, updates and deletes schedules.

use super::Update;
use crate::{
    db::{self, shares::Shares},
    model::{
        cron::{InvalidRecurrence, Recurrence},
        error::ApiError,
        etag::{Etag, ExpectedState},
        schedule::{Schedule, ScheduleDraft, SchedulePatch},
        variables,
    },
};
use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

pub(crate) async fn create(
    saves: &Shares,
    workspace_id: Uuid,
    draft: &ScheduleDraft,
) -> Result<Schedule, ApiError> {
    let pool = saves.acquire(workspace_id).await?;
    let mut connection = pool.acquire().await?;
    check_script(&mut connection, workspace_id, draft).await?;
    let next_run_at = next_run(draft)?;
    Ok(db::schedules::insert(&mut connection, workspace_id, draft, next_run_at).await?)
}

pub(crate) async fn update(
    saves: &Shares,
    workspace_id: Uuid,
    id: Uuid,
    expected: &ExpectedState,
    update: Update<ScheduleDraft, SchedulePatch>,
) -> Result<Schedule, ApiError> {
    let pool = saves.acquire(workspace_id).await?;
    let mut transaction = pool.begin().await?;
    let current = lock(&mut transaction, workspace_id, id, expected).await?;
    let draft = match update {
        Update::Replace(draft) => draft,
        Update::Patch(patch) => apply(patch, &current),
    };
    check_script(&mut transaction, workspace_id, &draft).await?;
    let same_times =
        current.enabled == draft.enabled && current.cron == draft.cron && current.timezone == draft.timezone;
    // A due run stays due when only the variables change.
    let next_run_at = if same_times { current.next_run_at } else { next_run(&draft)? };
    let schedule = db::schedules::update(&mut transaction, id, &draft, next_run_at).await?;
    transaction.commit().await?;
    Ok(schedule)
}

pub(crate) async fn delete(
    saves: &Shares,
    workspace_id: Uuid,
    id: Uuid,
    expected: &ExpectedState,
) -> Result<(), ApiError> {
    let pool = saves.acquire(workspace_id).await?;
    let mut transaction = pool.begin().await?;
    lock(&mut transaction, workspace_id, id, expected).await?;
    db::schedules::delete(&mut transaction, id).await?;
    transaction.commit().await?;
    Ok(())
}

/// Returns the tag of a schedule's state. Firing changes its times, not its state.
pub(crate) fn etag(schedule: &Schedule) -> Etag {
    Etag::of_row(0, schedule.updated_at)
}

async fn lock(
    connection: &mut PgConnection,
    workspace_id: Uuid,
    id: Uuid,
    expected: &ExpectedState,
) -> Result<Schedule, ApiError> {
    let current = db::schedules::get(connection, workspace_id, id).await?;
    let current = current.ok_or_else(|| ApiError::not_found("schedule"))?;
    expected.check(&etag(&current))?;
    Ok(current)
}

/// Checks that the script exists and gets the variables that it requires, so that a save fails rather than a later run.
async fn check_script(
    connection: &mut PgConnection,
    workspace_id: Uuid,
    draft: &ScheduleDraft,
) -> Result<(), ApiError> {
    let script = db::script_versions::newest(connection, workspace_id, draft.script_id).await?;
    let script = script.ok_or_else(|| ApiError::field("script_id", "No script with this id."))?;
    variables::complete(&draft.variables, &script.definitions)?;
    Ok(())
}

fn next_run(draft: &ScheduleDraft) -> Result<Option<DateTime<Utc>>, ApiError> {
    let invalid = |error: InvalidRecurrence| ApiError::field(error.field(), error.to_string());
    let recurrence = Recurrence::parse(&draft.cron, &draft.timezone).map_err(invalid)?;
    Ok(recurrence.next_after(Utc::now()).filter(|_| draft.enabled))
}

fn apply(patch: SchedulePatch, current: &Schedule) -> ScheduleDraft {
    ScheduleDraft {
        script_id: patch.script_id.unwrap_or(current.script_id),
        cron: patch.cron.unwrap_or_else(|| current.cron.clone()),
        timezone: patch.timezone.unwrap_or_else(|| current.timezone.clone()),
        variables: patch.variables.unwrap_or_else(|| current.variables.clone()),
        enabled: patch.enabled.unwrap_or(current.enabled),
        jitter_s: patch.jitter_s.unwrap_or(current.jitter_s),
        catch_up: patch.catch_up.unwrap_or_else(|| current.catch_up.clone()),
    }
}
