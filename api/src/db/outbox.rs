//! Statements of the relay on the outbox.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool};
use std::time::Duration;
use uuid::Uuid;

/// An outbox row that is marked as published, and is to be published now.
#[derive(Debug)]
pub struct OutboxEntry {
    pub(crate) id: i64,
    pub(crate) execution_id: Uuid,
    pub(crate) traceparent: Option<String>,
    pub(crate) available_at: DateTime<Utc>,
}

/// Row of [`claim_next_batch`].
struct MarkedRow {
    /// `None`, as are the three after it, if there is nothing to publish.
    id: Option<i64>,
    execution_id: Option<Uuid>,
    traceparent: Option<String>,
    available_at: Option<DateTime<Utc>>,
    window_size: i64,
    room: i64,
    /// Seconds until the next row without a mark is due; `None` if there is none.
    due_in_s: Option<f64>,
}

/// Rows to publish now, and the state of the outbox after they were marked.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) entries: Vec<OutboxEntry>,
    pub(crate) rest: Rest,
}

/// Rows that are left in the outbox without a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rest {
    Nothing,
    /// Rows are due, but the broker's window is full. It has this size.
    WindowFull(i64),
    /// Rows are due and the window has room: the limits of their workspaces are reached, or the batch was full.
    Limited,
    /// The next row is due after this time.
    DueIn(Duration),
}

impl Rest {
    fn of(due_in_s: Option<f64>, window_size: i64, room: i64) -> Self {
        match due_in_s {
            None => Self::Nothing,
            Some(seconds) if seconds > 0.0 => {
                Self::DueIn(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
            }
            Some(_) if room <= 0 => Self::WindowFull(window_size),
            Some(_) => Self::Limited,
        }
    }
}

/// Marks the next rows as published and returns them in order of dispatch.
///
/// The order is a weighted round robin. The n-th row of a workspace, those in the broker included, has turn n divided
/// by the workspace's weight, and the lowest turns come first. Rows of a higher priority, such as test runs, come
/// before all others. The window is twice the slots of the live workers, so that a slot never waits for the relay and
/// no message waits long in the broker.
///
/// The executions of a workspace that run or are in the broker are limited to the workspace's own limit, or else to
/// `workspace_limit` (0 is no limit). A paused workspace publishes nothing. Two relays that read at the same moment may
/// exceed the limit by one batch, once.
pub(crate) async fn claim_next_batch(
    pool: &PgPool,
    max_rows: i64,
    workspace_limit: i64,
) -> sqlx::Result<Batch> {
    let rows = sqlx::query_file_as!(MarkedRow, "src/db/claim_next_batch.sql", max_rows, workspace_limit)
        .fetch_all(pool)
        .await?;
    let rest = rows.first().map_or(Rest::Nothing, |row| Rest::of(row.due_in_s, row.window_size, row.room));
    let entry = |row: MarkedRow| {
        let MarkedRow { id, execution_id, traceparent, available_at, .. } = row;
        Some(OutboxEntry { id: id?, execution_id: execution_id?, traceparent, available_at: available_at? })
    };
    Ok(Batch { entries: rows.into_iter().filter_map(entry).collect(), rest })
}

/// Removes the mark from rows whose message the broker does not have.
pub(crate) async fn unmark(pool: &PgPool, ids: &[i64]) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE outbox SET published_at = NULL WHERE id = ANY($1) AND published_at IS NOT NULL",
        ids
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Moves rows that were written before the database's clock was set back to the present, and keeps their delays.
/// Returns the number of rows.
pub(crate) async fn rebase_after_clock_step(pool: &PgPool) -> sqlx::Result<u64> {
    let result = sqlx::query!(
        "UPDATE outbox SET
             available_at = available_at - greatest(created_at - now(), interval '0'),
             created_at = least(created_at, now()),
             published_at = least(published_at, now())
         WHERE greatest(created_at, published_at) > now() + interval '1 second'"
    )
    .execute(pool)
    .await?;
    Ok(result.rows_affected())
}

/// Returns the number of marked rows, and the number of those that were marked `min_age` ago or earlier.
pub(crate) async fn published(pool: &PgPool, min_age: Duration) -> sqlx::Result<(i64, i64)> {
    let row = sqlx::query!(
        r#"SELECT count(*) AS "all!", count(*) FILTER (WHERE published_at < now() - make_interval(secs => $1)) AS "old!"
           FROM outbox WHERE published_at IS NOT NULL"#,
        min_age.as_secs_f64(),
    )
    .fetch_one(pool)
    .await?;
    Ok((row.all, row.old))
}

/// Removes the mark from every row published `min_age` ago or earlier. Returns the number of rows.
pub(crate) async fn unmark_stale(pool: &PgPool, min_age: Duration) -> sqlx::Result<u64> {
    let result = sqlx::query!(
        "UPDATE outbox SET published_at = NULL WHERE published_at < now() - make_interval(secs => $1)",
        min_age.as_secs_f64(),
    )
    .execute(pool)
    .await?;
    Ok(result.rows_affected())
}

/// Delays an entry by a random time of up to `max_s` seconds, so that entries of the same moment are spread.
pub(crate) async fn delay_at_random(
    connection: &mut PgConnection,
    execution_id: Uuid,
    max_s: i32,
) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE outbox SET available_at = now() + random() * make_interval(secs => $2) WHERE execution_id = $1",
        execution_id,
        f64::from(max_s),
    )
    .execute(connection)
    .await
    .map(drop)
}
