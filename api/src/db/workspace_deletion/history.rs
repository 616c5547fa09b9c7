//! Deletes the executions of a workspace with their log lines, week by week and in the order of an index.
//!
//! Invariant: a statement reads the partitions of one week, from the place where the last one ended. So the cost of a
//! chunk depends neither on the length of the history nor on what was deleted before.

use super::{Erased, ErasureProgress};
use chrono::{DateTime, Days, NaiveDate, NaiveTime, Utc};
use sqlx::PgPool;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// Limits the executions per transaction. An execution may have a thousand log lines.
const MAX_CHUNK: i64 = 1_000;
/// Limits the time of a transaction, in milliseconds: after a slower one the next chunk is half as large.
const CHUNK_TIME: Duration = Duration::from_millis(500);

/// Selects the next executions of a workspace in one week. Parameters: workspace, first id of the week, first id of the
/// next week, kind and id of the last execution, most rows.
pub const SELECT_CHUNK: &str = "
SELECT id, execution_kind(trigger_type, error_code) FROM script_executions
WHERE workspace_id = $1 AND id >= $2 AND id < $3 AND (execution_kind(trigger_type, error_code), id) > ($4::smallint, $5::uuid)
ORDER BY execution_kind(trigger_type, error_code), id LIMIT $6";

/// Deletes the log lines of executions of one week. Parameters: executions, first id of the week, first id of the next week.
pub const DELETE_LOGS: &str =
    "DELETE FROM execution_logs WHERE execution_id = ANY ($1) AND execution_id >= $2 AND execution_id < $3";

/// Ids of one week of history: the first one, and the first of the next week.
#[derive(Clone, Copy)]
struct WeekBounds {
    first: Uuid,
    end: Uuid,
}

/// The place in the index up to which executions were deleted.
#[derive(Clone, Copy)]
struct Position {
    kind: i16,
    id: Uuid,
}

impl Position {
    const START: Self = Self { kind: -1, id: Uuid::nil() };
}

/// Deletes the whole history once. Returns the number of executions.
pub(super) async fn erase(
    pool: &PgPool,
    workspace_id: Uuid,
    erased: &mut Erased,
    report: &mut impl FnMut(&ErasureProgress),
) -> sqlx::Result<u64> {
    let before = erased.executions;
    let weeks = weeks(pool).await?;
    for (index, week) in weeks.iter().enumerate() {
        let (mut position, mut chunk) = (Position::START, MAX_CHUNK);
        let bounds = WeekBounds::of(*week);
        loop {
            let began = Instant::now();
            let Some(last) = erase_chunk(pool, workspace_id, bounds, position, chunk, erased).await? else {
                break;
            };
            position = last;
            chunk = next_chunk(chunk, began.elapsed());
            report(&ErasureProgress { week: *week, weeks_left: weeks.len() - index - 1, erased: *erased });
        }
    }
    Ok(erased.executions - before)
}

/// Lists the weeks that have partitions, by their Mondays, the oldest first.
async fn weeks(pool: &PgPool) -> sqlx::Result<Vec<NaiveDate>> {
    sqlx::query_scalar!(
        r#"SELECT to_date(right(child.relname, 8), 'YYYYMMDD') AS "week!"
           FROM pg_inherits JOIN pg_class child ON child.oid = inhrelid
           WHERE inhparent = 'script_executions'::regclass AND NOT inhdetachpending
               AND child.relname ~ '^script_executions_\d{8}$'
           ORDER BY 1"#
    )
    .fetch_all(pool)
    .await
}

impl WeekBounds {
    fn of(monday: NaiveDate) -> Self {
        let next = monday.checked_add_days(Days::new(7)).unwrap_or(NaiveDate::MAX);
        Self { first: first_id(monday), end: first_id(next) }
    }
}

/// Returns the smallest `UUIDv7` of a day: 48 bits of Unix milliseconds, then zeros.
fn first_id(day: NaiveDate) -> Uuid {
    let moment: DateTime<Utc> = day.and_time(NaiveTime::MIN).and_utc();
    let millis = u128::try_from(moment.timestamp_millis()).unwrap_or_default();
    Uuid::from_u128(millis << 80)
}

/// Deletes one chunk in one transaction. Returns the last execution's place, or `None` if there was none left.
async fn erase_chunk(
    pool: &PgPool,
    workspace_id: Uuid,
    week: WeekBounds,
    after: Position,
    most: i64,
    erased: &mut Erased,
) -> sqlx::Result<Option<Position>> {
    let mut transaction = pool.begin().await?;
    let rows: Vec<(Uuid, i16)> = sqlx::query_as(SELECT_CHUNK)
        .bind(workspace_id)
        .bind(week.first)
        .bind(week.end)
        .bind(after.kind)
        .bind(after.id)
        .bind(most)
        .fetch_all(&mut *transaction)
        .await?;
    let Some(&(id, kind)) = rows.last() else { return Ok(None) };
    let ids: Vec<Uuid> = rows.into_iter().map(|(id, _)| id).collect();
    let lines = sqlx::query(DELETE_LOGS)
        .bind(&ids)
        .bind(week.first)
        .bind(week.end)
        .execute(&mut *transaction)
        .await?;
    sqlx::query!("DELETE FROM outbox WHERE execution_id = ANY ($1)", &ids).execute(&mut *transaction).await?;
    let executions = sqlx::query!(
        "DELETE FROM script_executions WHERE id = ANY ($1) AND id >= $2 AND id < $3",
        &ids,
        week.first,
        week.end,
    )
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    erased.executions += executions.rows_affected();
    erased.log_lines += lines.rows_affected();
    Ok(Some(Position { kind, id }))
}

/// Returns the size of the next chunk, so that a transaction takes about [`CHUNK_TIME`] at most.
fn next_chunk(chunk: i64, took: Duration) -> i64 {
    if took > CHUNK_TIME { (chunk / 2).max(1) } else { (chunk * 2).min(MAX_CHUNK) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_chunks_shrink_and_fast_ones_grow_back() {
        let (slow, fast) = (Duration::from_secs(1), Duration::from_millis(10));
        assert_eq!(next_chunk(MAX_CHUNK, slow), MAX_CHUNK / 2);
        assert_eq!(next_chunk(1, slow), 1);
        assert_eq!(next_chunk(300, fast), 600);
        assert_eq!(next_chunk(MAX_CHUNK, fast), MAX_CHUNK);
    }

    #[test]
    fn the_bounds_of_a_week_are_those_of_its_partitions() {
        let monday = NaiveDate::from_ymd_opt(2025, 1, 6).unwrap();
        let WeekBounds { first, end } = WeekBounds::of(monday);
        // As `uuid_v7_floor` makes them.
        assert_eq!(first.to_string(), "019438e9-4800-0000-0000-000000000000");
        assert!(end > first && WeekBounds::of(monday + Days::new(7)).first == end);
    }
}
