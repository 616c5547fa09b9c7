//! The statements of table maintenance.
//!
//! Invariant: no lock that is taken or waited for here makes a reader or writer of `script_executions` or
//! `execution_logs` wait. A week's tables are attached under a lock that conflicts with maintenance alone, detached
//! `CONCURRENTLY`, and dropped when they are no longer a partition.

mod lease;
mod prune;

pub(crate) use lease::Lag;
pub use lease::{end_lease, lag, take_lease};
pub(crate) use prune::{PrunedTable, prune};

use chrono::NaiveDate;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, PgPool, Postgres, Transaction};
use std::{fmt, time::Duration};

/// Limits the seconds of one statement, enforced by the server.
pub(crate) const STATEMENT_LIMIT: Duration = Duration::from_mins(1);
/// Limits the seconds that a statement within a transaction may wait for a lock.
const LOCK_LIMIT: Duration = Duration::from_secs(2);
/// Number of days ahead for which partitions are made.
const AHEAD_DAYS: i32 = 28;

/// A week of history, by its Monday in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Week(pub NaiveDate);

impl Week {
    const FORMAT: &str = "%Y%m%d";

    /// Parses the end of a table's name; `None` if it is not a date.
    fn from_name(name: &str) -> Option<Self> {
        NaiveDate::parse_from_str(name, Self::FORMAT).ok().map(Self)
    }
}

impl fmt::Display for Week {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.format(Self::FORMAT))
    }
}

/// A partitioned table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parent {
    Executions,
    Logs,
}

impl Parent {
    const fn name(self) -> &'static str {
        match self {
            Self::Executions => "script_executions",
            Self::Logs => "execution_logs",
        }
    }

    /// Returns the name of one week's table, safe as SQL.
    pub(crate) fn partition(self, week: Week) -> String {
        format!("{}_{week}", self.name())
    }
}

/// The relation of a week's table to its parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PartitionLink {
    Attached,
    /// A concurrent detach was begun and has to be finished; queries no longer see the table.
    Detaching,
    Detached,
}

impl PartitionLink {
    fn from_text(text: &str) -> Self {
        match text {
            "attached" => Self::Attached,
            "detaching" => Self::Detaching,
            _ => Self::Detached,
        }
    }
}

/// A week that is to be dropped, or whose removal was begun.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OldWeek {
    pub week: Week,
    /// True if it is older than the retention.
    pub is_due: bool,
    /// `None` if there is no such table.
    pub executions: Option<PartitionLink>,
    pub logs: Option<PartitionLink>,
}

impl OldWeek {
    /// Returns both tables.
    pub(crate) const fn tables(self) -> [(Parent, Option<PartitionLink>); 2] {
        [(Parent::Executions, self.executions), (Parent::Logs, self.logs)]
    }

    pub(crate) const fn link(self, parent: Parent) -> Option<PartitionLink> {
        match parent {
            Parent::Executions => self.executions,
            Parent::Logs => self.logs,
        }
    }

    /// Records that a table is no longer a partition of its parent.
    pub(crate) const fn mark_detached(&mut self, parent: Parent) {
        let link = match parent {
            Parent::Executions => &mut self.executions,
            Parent::Logs => &mut self.logs,
        };
        *link = Some(PartitionLink::Detached);
    }
}

/// Makes the partitions of the coming weeks. Returns the number of tables that were missing.
pub(crate) async fn make_partitions(pool: &PgPool) -> sqlx::Result<i32> {
    let mut transaction = limited(pool).await?;
    let made = sqlx::query_scalar!(
        r#"SELECT create_execution_partitions(now(), now() + make_interval(days => $1)) AS "made!""#,
        AHEAD_DAYS
    )
    .fetch_one(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(made)
}

/// Lists the weeks that ended longer ago than `keep`, and those whose removal was begun. The first ones are those whose
/// detach was interrupted, since a table detaches one partition at a time; then the oldest.
pub(crate) async fn old_weeks(pool: &PgPool, keep: Option<Duration>) -> sqlx::Result<Vec<OldWeek>> {
    let rows = sqlx::query!(
        r#"WITH tables AS (
             SELECT right(child.relname, 8) AS week, starts_with(child.relname, 'script') AS is_executions,
                 CASE WHEN link.inhrelid IS NULL THEN 'detached' WHEN link.inhdetachpending THEN 'detaching'
                     ELSE 'attached' END AS link
             FROM pg_class child LEFT JOIN pg_inherits link ON link.inhrelid = child.oid
             WHERE child.relkind = 'r' AND child.relname ~ '^(script_executions|execution_logs)_\d{8}$'
                 AND child.relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = 'script_executions'::regclass)
         ), weeks AS (
             SELECT week, min(link) FILTER (WHERE is_executions) AS executions, min(link) FILTER (WHERE NOT is_executions) AS logs,
                 coalesce(week <= to_char((now() - make_interval(days => 7, secs => $1)) AT TIME ZONE 'UTC', 'YYYYMMDD'), false)
                     AS is_due
             FROM tables GROUP BY week
         )
         SELECT weeks.week AS "week!", executions, logs, is_due AS "is_due!"
         FROM weeks LEFT JOIN retiring_weeks retiring ON to_char(retiring.week, 'YYYYMMDD') = weeks.week
         -- A table that somebody else has detached is theirs.
         WHERE retiring.week IS NOT NULL
             OR is_due AND executions IS DISTINCT FROM 'detached' AND logs IS DISTINCT FROM 'detached'
         ORDER BY (executions = 'detaching' OR logs = 'detaching') IS TRUE DESC, weeks.week"#,
        keep.map(|keep| keep.as_secs_f64()),
    )
    .fetch_all(pool)
    .await?;
    let link = |text: Option<String>| text.as_deref().map(PartitionLink::from_text);
    let old = rows.into_iter().filter_map(|row| {
        let week = Week::from_name(&row.week)?;
        Some(OldWeek { week, is_due: row.is_due, executions: link(row.executions), logs: link(row.logs) })
    });
    Ok(old.collect())
}

/// Returns the query that tells whether an execution of a week is queued or running. Each half has its partial index;
/// with both in one `IN`, none fits.
pub fn unfinished_sql(week: Week) -> String {
    let table = Parent::Executions.partition(week);
    format!(
        "SELECT EXISTS (SELECT FROM {table} WHERE status = 'queued')
             OR EXISTS (SELECT FROM {table} WHERE status = 'running')"
    )
}

/// Statement that keeps the planner from reading a whole week because old statistics promise an early hit.
pub const INDEXES_ONLY: &str = "SET LOCAL enable_seqscan = off";

/// Tells whether an execution of a week is queued or running.
pub(crate) async fn has_unfinished(pool: &PgPool, week: Week) -> sqlx::Result<bool> {
    let mut transaction = limited(pool).await?;
    let found = is_unfinished(&mut transaction, week).await?;
    transaction.commit().await?;
    Ok(found)
}

async fn is_unfinished(connection: &mut PgConnection, week: Week) -> sqlx::Result<bool> {
    connection.execute(INDEXES_ONLY).await?;
    sqlx::query_scalar(AssertSqlSafe(unfinished_sql(week))).persistent(false).fetch_one(connection).await
}

/// Records that the removal of a week has begun, so that a process that finds it half removed finishes it.
pub(crate) async fn begin_retiring(pool: &PgPool, week: Week) -> sqlx::Result<()> {
    sqlx::query!("INSERT INTO retiring_weeks (week) VALUES ($1) ON CONFLICT DO NOTHING", week.0)
        .execute(pool)
        .await
        .map(drop)
}

/// Detaches a week's table. This waits for all transactions that may use it, without blocking others. If it is
/// interrupted, [`finish_detach`] has to follow.
pub(crate) async fn detach(pool: &PgPool, parent: Parent, week: Week) -> sqlx::Result<()> {
    let (parent, child) = (parent.name(), parent.partition(week));
    outside_transaction(pool, format!("ALTER TABLE {parent} DETACH PARTITION {child} CONCURRENTLY")).await
}

/// Finishes a detach that was interrupted.
pub(crate) async fn finish_detach(pool: &PgPool, parent: Parent, week: Week) -> sqlx::Result<()> {
    let (parent, child) = (parent.name(), parent.partition(week));
    outside_transaction(pool, format!("ALTER TABLE {parent} DETACH PARTITION {child} FINALIZE")).await
}

/// Drops a week's detached tables. Returns false, without dropping, if an execution of it is queued or running, or a
/// table is attached.
pub(crate) async fn drop_week(pool: &PgPool, old: &OldWeek) -> sqlx::Result<bool> {
    let mut transaction = limited(pool).await?;
    for (parent, link) in old.tables() {
        if link.is_some() && !lock_detached(&mut transaction, &parent.partition(old.week)).await? {
            return Ok(false);
        }
    }
    if old.executions.is_some() && is_unfinished(&mut transaction, old.week).await? {
        return Ok(false);
    }
    for (parent, _) in old.tables() {
        let drop = format!("DROP TABLE IF EXISTS {}", parent.partition(old.week));
        transaction.execute(AssertSqlSafe(drop)).await?;
    }
    end_retiring(&mut transaction, old.week).await?;
    transaction.commit().await?;
    Ok(true)
}

/// Attaches a week's tables again. Its queued executions are published again: a worker that got a message meanwhile
/// found no execution.
pub(crate) async fn restore_week(pool: &PgPool, old: &OldWeek) -> sqlx::Result<()> {
    let week = old.week;
    let mut transaction = limited(pool).await?;
    for (parent, link) in old.tables() {
        if link == Some(PartitionLink::Detached) {
            let (parent, child) = (parent.name(), parent.partition(week));
            let (from, to) = (week.0, week.0 + chrono::Days::new(7));
            let attach = format!(
                "ALTER TABLE {parent} ATTACH PARTITION {child}
                 FOR VALUES FROM (uuid_v7_floor('{from} 00:00+00')) TO (uuid_v7_floor('{to} 00:00+00'))"
            );
            transaction.execute(AssertSqlSafe(attach)).await?;
        }
    }
    if old.executions == Some(PartitionLink::Detached) {
        let enqueue = format!(
            "INSERT INTO outbox (execution_id, workspace_id, priority, traceparent)
             SELECT id, workspace_id, priority, traceparent FROM {} WHERE status = 'queued'",
            Parent::Executions.partition(week)
        );
        transaction.execute(AssertSqlSafe(enqueue)).await?;
    }
    end_retiring(&mut transaction, week).await?;
    transaction.commit().await
}

async fn end_retiring(connection: &mut PgConnection, week: Week) -> sqlx::Result<()> {
    sqlx::query!("DELETE FROM retiring_weeks WHERE week = $1", week.0).execute(connection).await.map(drop)
}

/// Locks a detached table so that it does not change. Returns false if it is a partition after all.
async fn lock_detached(connection: &mut PgConnection, table: &str) -> sqlx::Result<bool> {
    // Checked before the lock, since every reader and writer would wait for the lock on a partition; and after, since
    // the table may have become one.
    if is_part(connection, table).await? {
        return Ok(false);
    }
    connection.execute(AssertSqlSafe(format!("LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE"))).await?;
    Ok(!is_part(connection, table).await?)
}

async fn is_part(connection: &mut PgConnection, table: &str) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = to_regclass($1)) AS "is_part!""#,
        table
    )
    .fetch_one(connection)
    .await
}

/// Begins a transaction whose statements have time limits.
async fn limited(pool: &PgPool) -> sqlx::Result<Transaction<'static, Postgres>> {
    let mut transaction = pool.begin().await?;
    sqlx::query!(
        "SELECT set_config('statement_timeout', $1, true) AS statement, set_config('lock_timeout', $2, true) AS lock",
        STATEMENT_LIMIT.as_millis().to_string(),
        LOCK_LIMIT.as_millis().to_string()
    )
    .fetch_one(&mut *transaction)
    .await?;
    Ok(transaction)
}

/// Runs a statement that can't be part of a transaction, on a connection of its own: its limits differ from the pool's,
/// and a `SET` might outlive the statement behind a pooler.
async fn outside_transaction(pool: &PgPool, statement: String) -> sqlx::Result<()> {
    let limits =
        [("statement_timeout", STATEMENT_LIMIT.as_millis().to_string()), ("lock_timeout", "0".to_owned())];
    let options = pool.connect_options().as_ref().clone().options(limits);
    let mut connection = PgConnection::connect_with(&options).await?;
    let done = connection.execute(AssertSqlSafe(statement)).await;
    // An error while closing does not undo the statement.
    drop(connection.close().await);
    done.map(drop)
}
