//! The progress of executions that requests wait for.

use crate::model::execution::Progress;
use sqlx::PgPool;
use uuid::Uuid;

/// Reads the progress of several executions in one query. Executions that do not exist are left out. The query says
/// how many there are, so that one plan is kept for all: planning took longer than reading.
pub(crate) async fn of_executions(pool: &PgPool, ids: &[Uuid]) -> Result<Vec<(Uuid, Progress)>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"SELECT moved.id AS "id!", execution.status, execution.attempt,
                  coalesce((SELECT max(seq) FROM execution_logs WHERE execution_id = moved.id), 0) AS "last_seq!"
           FROM unnest($1::uuid[]) AS moved (id)
           CROSS JOIN LATERAL (SELECT status, attempt FROM script_executions WHERE id = moved.id LIMIT 1) AS execution
           LIMIT $2"#,
        ids,
        i64::try_from(ids.len()).unwrap_or(i64::MAX)
    )
    .fetch_all(pool)
    .await?;
    let progress =
        rows.into_iter().filter_map(|row| Some((row.id, progress(&row.status, row.attempt, row.last_seq)?)));
    Ok(progress.collect())
}

/// Reads the progress of one execution. Most queries of the poller are for one; one plan is kept for all ids: see
/// [`super::executions`].
pub(crate) async fn of_execution(pool: &PgPool, id: Uuid) -> Result<Option<Progress>, sqlx::Error> {
    let row = sqlx::query!(
        r#"SELECT status, attempt,
                  coalesce((SELECT max(seq) FROM execution_logs WHERE execution_id = $1), 0) AS "last_seq!"
           FROM script_executions WHERE id = $1 LIMIT 1"#,
        id
    )
    .fetch_optional(pool)
    .await?;
    Ok(row.and_then(|row| progress(&row.status, row.attempt, row.last_seq)))
}

/// Returns `None` for a status that this version does not know.
fn progress(status: &str, attempt: i32, last_seq: i32) -> Option<Progress> {
    Some(Progress { status: status.parse().ok()?, attempt, last_seq })
}
