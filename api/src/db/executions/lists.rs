//! Lists of executions.
//!
//! Invariant: what a page costs does not grow with the history, whatever it is narrowed to. Each statement reads its rows
//! in the order of an index that carries its filters (see `migrations/0001_initial.sql`), and stops when the page is full.
//! Its plan is the same for all values: none is planned around a filter that may be missing.

use super::ExecutionRow;
use crate::model::{execution::ExecutionSummary, pagination::PageRequest};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::value::RawValue;
use shared::{
    execution::{ErrorCode, Status, TriggerType},
    signing::CLOCK_SKEW_S,
};
use sqlx::{PgPool, types::Json};
use uuid::Uuid;

/// Limits the bytes of one result in a list: a page of a hundred stays small.
const LISTED_RESULT_BYTES: i32 = 16 * 1024;
/// Limits the seconds by which an execution's id may differ from its `queued_at`: the api dates the id by its clock,
/// the database dates `queued_at`. Signed requests presume clocks that are as close.
const SLACK_S: u64 = CLOCK_SKEW_S;

/// Filters of a list of executions.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExecutionFilter {
    pub script_id: Option<Uuid>,
    pub status: Option<Status>,
    pub trigger_type: Option<TriggerType>,
    pub created_after: Option<DateTime<Utc>>,
    pub created_before: Option<DateTime<Utc>>,
}

/// Bounds of the rows of a page: times as the client gave them, and the ids of executions queued between them.
#[derive(Debug, PartialEq, Eq)]
struct PageRange {
    /// The smallest id, inclusive.
    from: Uuid,
    /// Upper bound of the ids, exclusive.
    below: Uuid,
    after: Option<DateTime<Utc>>,
    before: Option<DateTime<Utc>>,
}

impl PageRange {
    fn of(filter: &ExecutionFilter, page: PageRequest) -> Self {
        let slack = TimeDelta::seconds(SLACK_S.cast_signed());
        let bound = |time: DateTime<Utc>| time.clamp(DateTime::UNIX_EPOCH, last_time());
        let (after, before) = (filter.created_after.map(bound), filter.created_before.map(bound));
        let from = after.map_or(Uuid::nil(), |after| least_id(after - slack));
        let below = before.map_or(Uuid::max(), |before| least_id(before + slack));
        Self { from, below: page.before.map_or(below, |cursor| cursor.min(below)), after, before }
    }
}

/// Returns the end of year 9999, which PostgreSQL and a `UUIDv7` can hold and RFC 3339 can express.
fn last_time() -> DateTime<Utc> {
    DateTime::from_timestamp_secs(253_402_300_799).expect("a time that chrono knows")
}

/// Returns the smallest `UUIDv7` of a moment (RFC 9562 §5.7); for a moment before 1970, the smallest of all.
fn least_id(moment: DateTime<Utc>) -> Uuid {
    let milliseconds = u128::try_from(moment.timestamp_millis()).unwrap_or(0);
    Uuid::from_u128(milliseconds << 80)
}

/// Lists executions of the workspace, newest first.
pub async fn list(
    pool: &PgPool,
    workspace_id: Uuid,
    filter: &ExecutionFilter,
    page: PageRequest,
) -> Result<Vec<ExecutionSummary>, sqlx::Error> {
    let range = PageRange::of(filter, page);
    let rows = match (filter.status, filter.script_id) {
        (Some(Status::Queued), _) => queued(pool, workspace_id, filter, &range, page).await?,
        (Some(Status::Running), _) => running(pool, workspace_id, filter, &range, page).await?,
        (_, Some(script_id)) => of_script(pool, workspace_id, script_id, filter, &range, page).await?,
        (_, None) => of_workspace(pool, workspace_id, filter, &range, page).await?,
    };
    Ok(rows.into_iter().map(ExecutionSummary::from).collect())
}

/// The kinds of executions that a list can contain, each given by one trigger and one error code of the kind: see
/// `execution_kind`.
#[derive(Debug)]
struct Kinds {
    triggers: Vec<&'static str>,
    error_codes: Vec<Option<&'static str>>,
}

impl Kinds {
    fn of(filter: &ExecutionFilter) -> Self {
        let (none, failed, cancelled) =
            (None, Some(ErrorCode::ScriptError.as_str()), Some(ErrorCode::Cancelled.as_str()));
        let codes = match filter.status {
            None => vec![none, failed, cancelled],
            Some(Status::Queued | Status::Running | Status::Completed) => vec![none],
            Some(Status::Errored) => vec![failed],
            Some(Status::Cancelled) => vec![cancelled],
        };
        let (triggers, error_codes) = triggers(filter)
            .into_iter()
            .flat_map(|trigger| codes.iter().map(move |code| (trigger, *code)))
            .unzip();
        Self { triggers, error_codes }
    }
}

fn triggers(filter: &ExecutionFilter) -> Vec<&'static str> {
    let any = || TriggerType::ALL.iter().map(|trigger| trigger.as_str()).collect();
    filter.trigger_type.map_or_else(any, |trigger| vec![trigger.as_str()])
}

fn statuses(filter: &ExecutionFilter) -> Vec<&'static str> {
    let any = || Status::ALL.iter().map(|status| status.as_str()).collect();
    filter.status.map_or_else(any, |status| vec![status.as_str()])
}

/// Reads a page of one SELECT from `script_executions`, given by the texts before it and after it. Every statement has
/// the parameters `$1` (limit of a result's bytes), `$2` (rows), `$3` (workspace), `$4` and `$5` (bounds of ids), `$6`
/// and `$7` (bounds of times).
///
/// A result that is too large as it is stored, with its header of 4 bytes, is not unpacked to be measured.
macro_rules! page {
    ($before:literal, $after:literal, $pool:expr, $workspace_id:expr, $range:expr, $page:expr, $($argument:expr),+ $(,)?) => {
        sqlx::query_as!(
            ExecutionRow,
            r#"SELECT id, script_id, script_version, trigger_type, status, attempt,
                      CASE WHEN pg_column_size(result) <= $1 + 4 AND octet_length(result::text) <= $1 THEN result END
                          AS "result: Json<Box<RawValue>>",
                      error_code, error_message, error_stack, error_line, error_column, function_names, replay_of, queued_at,
                      started_at, finished_at, queue_ms, init_ms, run_ms, persist_ms, cpu_ms, memory_peak_bytes
               FROM ("# + $before + r#"
                   SELECT id, workspace_id, script_id, script_version, execution.trigger_type, status, attempt, result,
                          execution.error_code, error_message, error_stack, error_line, error_column, function_names,
                          replay_of, queued_at, started_at, finished_at, queue_ms, init_ms, run_ms, persist_ms, cpu_ms,
                          memory_peak_bytes
                   FROM script_executions AS execution "# + $after + r#"
               ) AS page ORDER BY id DESC"#,
            LISTED_RESULT_BYTES,
            $page.rows(),
            $workspace_id,
            $range.from,
            $range.below,
            $range.after,
            $range.before,
            $($argument),+
        )
        .fetch_all($pool)
        .await
    };
}

/// Reads the newest executions of each kind, and returns the newest of those.
async fn of_workspace(
    pool: &PgPool,
    workspace_id: Uuid,
    filter: &ExecutionFilter,
    range: &PageRange,
    page: PageRequest,
) -> Result<Vec<ExecutionRow>, sqlx::Error> {
    let Kinds { triggers, error_codes } = Kinds::of(filter);
    page!(
        "SELECT newest.* FROM (
             SELECT trigger_type, execution_kind(trigger_type, error_code) AS number
             FROM unnest($8::text[], $9::text[]) AS wanted (trigger_type, error_code)
             -- Computed once, not for each partition.
             OFFSET 0) AS kind
         CROSS JOIN LATERAL (",
        "WHERE workspace_id = $3 AND id >= $4 AND id < $5
             AND execution_kind(execution.trigger_type, execution.error_code) = kind.number
             AND execution.trigger_type = kind.trigger_type AND status = ANY($10::text[])
             AND queued_at > coalesce($6::timestamptz, '-infinity') AND queued_at < coalesce($7::timestamptz, 'infinity')
         ORDER BY id DESC LIMIT $2) AS newest
         ORDER BY newest.id DESC LIMIT $2",
        pool,
        workspace_id,
        range,
        page,
        &triggers as &[&str],
        &error_codes as &[Option<&str>],
        &statuses(filter) as &[&str],
    )
}

/// Like [`of_workspace`], for one script.
async fn of_script(
    pool: &PgPool,
    workspace_id: Uuid,
    script_id: Uuid,
    filter: &ExecutionFilter,
    range: &PageRange,
    page: PageRequest,
) -> Result<Vec<ExecutionRow>, sqlx::Error> {
    let Kinds { triggers, error_codes } = Kinds::of(filter);
    page!(
        "SELECT newest.* FROM (
             SELECT trigger_type, execution_kind(trigger_type, error_code) AS number
             FROM unnest($8::text[], $9::text[]) AS wanted (trigger_type, error_code)
             -- Computed once, not for each partition.
             OFFSET 0) AS kind
         CROSS JOIN LATERAL (",
        "WHERE workspace_id = $3 AND script_id = $11 AND id >= $4 AND id < $5
             AND execution_kind(execution.trigger_type, execution.error_code) = kind.number
             AND execution.trigger_type = kind.trigger_type AND status = ANY($10::text[])
             AND queued_at > coalesce($6::timestamptz, '-infinity') AND queued_at < coalesce($7::timestamptz, 'infinity')
         ORDER BY id DESC LIMIT $2) AS newest
         ORDER BY newest.id DESC LIMIT $2",
        pool,
        workspace_id,
        range,
        page,
        &triggers as &[&str],
        &error_codes as &[Option<&str>],
        &statuses(filter) as &[&str],
        script_id,
    )
}

/// Reads from the queued executions, which `QUEUE_QUOTA` bounds.
async fn queued(
    pool: &PgPool,
    workspace_id: Uuid,
    filter: &ExecutionFilter,
    range: &PageRange,
    page: PageRequest,
) -> Result<Vec<ExecutionRow>, sqlx::Error> {
    page!(
        "",
        "WHERE workspace_id = $3 AND status = 'queued' AND id >= $4 AND id < $5
             AND queued_at > coalesce($6::timestamptz, '-infinity') AND queued_at < coalesce($7::timestamptz, 'infinity')
             AND execution.trigger_type = ANY($8::text[]) AND ($9::uuid IS NULL OR script_id = $9)
         ORDER BY id DESC LIMIT $2",
        pool,
        workspace_id,
        range,
        page,
        &triggers(filter) as &[&str],
        filter.script_id,
    )
}

/// Reads from the running executions of all workspaces, which the workers' slots bound: they have an index, the running
/// executions of one workspace have none.
async fn running(
    pool: &PgPool,
    workspace_id: Uuid,
    filter: &ExecutionFilter,
    range: &PageRange,
    page: PageRequest,
) -> Result<Vec<ExecutionRow>, sqlx::Error> {
    page!(
        "WITH running AS MATERIALIZED (",
        "WHERE status = 'running')
         SELECT * FROM running
         WHERE workspace_id = $3 AND id >= $4 AND id < $5
             AND queued_at > coalesce($6::timestamptz, '-infinity') AND queued_at < coalesce($7::timestamptz, 'infinity')
             AND trigger_type = ANY($8::text[]) AND ($9::uuid IS NULL OR script_id = $9)
         ORDER BY id DESC LIMIT $2",
        pool,
        workspace_id,
        range,
        page,
        &triggers(filter) as &[&str],
        filter.script_id,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn range(after: Option<&str>, before: Option<&str>, cursor: Option<Uuid>) -> PageRange {
        let filter = ExecutionFilter {
            created_after: after.map(time),
            created_before: before.map(time),
            ..ExecutionFilter::default()
        };
        PageRange::of(&filter, PageRequest { before: cursor, per_page: 50 })
    }

    #[test]
    fn time_filters_bound_ids_with_a_margin_for_clock_skew() {
        let range = range(Some("2026-01-01T00:05:00Z"), Some("2026-01-02T00:00:00Z"), None);
        assert_eq!(range.from, least_id(time("2026-01-01T00:00:00Z")));
        assert_eq!(range.below, least_id(time("2026-01-02T00:05:00Z")));
        assert_eq!(range.after, Some(time("2026-01-01T00:05:00Z")), "exact");
        // The moment 0x017f22e279b0 of RFC 9562, appendix A.6.
        assert_eq!(
            least_id(time("2022-02-22T19:22:22Z")).to_string(),
            "017f22e2-79b0-0000-0000-000000000000"
        );
    }

    #[test]
    fn the_tighter_of_cursor_and_time_bounds_a_page() {
        let (early, late) = (least_id(time("2025-01-01T00:00:00Z")), least_id(time("2027-01-01T00:00:00Z")));
        assert_eq!(range(None, Some("2026-01-01T00:00:00Z"), Some(early)).below, early);
        assert!(range(None, Some("2026-01-01T00:00:00Z"), Some(late)).below < late);
        assert_eq!(range(None, None, Some(late)).below, late);
    }

    #[test]
    fn times_outside_the_id_range_bound_nothing() {
        let far = range(Some("-9999-01-01T00:00:00Z"), Some("+200000-01-01T00:00:00Z"), None);
        assert_eq!(far.from, Uuid::nil());
        assert!(far.below > least_id(last_time()));
        let before_all = range(Some("1969-12-31T23:00:00Z"), Some("1901-01-01T00:00:00Z"), None);
        assert!(before_all.from < before_all.below, "an empty page, not an error");
    }

    #[test]
    fn a_filter_names_the_kinds_it_can_match() {
        let kinds = |status, trigger_type| {
            Kinds::of(&ExecutionFilter { status, trigger_type, ..ExecutionFilter::default() })
                .error_codes
                .len()
        };
        assert_eq!(kinds(None, None), 15);
        assert_eq!(kinds(Some(Status::Errored), None), 5);
        assert_eq!(kinds(Some(Status::Completed), Some(TriggerType::Api)), 1);
    }
}
