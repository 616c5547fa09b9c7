//! Statements that store console lines, during the run and with its outcome.

use super::{Attempt, Claims, FencedWrite};
use crate::db::DatabaseError;
use chrono::{DateTime, Utc};
use shared::outcome::LogLine;

/// Parameters: execution, attempt, worker, then one array per column. A line is stored once, even if it is written again
/// because its first write was not confirmed.
const APPEND: &str = "
WITH fenced AS (
    SELECT id FROM script_executions WHERE id = $1 AND attempt = $2 AND worker_id = $3 AND status = 'running'
), lines AS (
    INSERT INTO execution_logs (execution_id, seq, ts, level, message)
    SELECT fenced.id, line.* FROM fenced, unnest($4::int[], $5::timestamptz[], $6::text[], $7::text[]) AS line
    ON CONFLICT DO NOTHING
)
SELECT pg_notify('execution_changed', id::text)::text FROM fenced";

/// Columns of lines as parameters of a statement: one array per column.
#[derive(Debug, Default)]
pub(super) struct Columns<'a> {
    pub(super) seqs: Vec<i32>,
    pub(super) times: Vec<DateTime<Utc>>,
    pub(super) levels: Vec<&'static str>,
    pub(super) messages: Vec<&'a str>,
}

impl<'a> Columns<'a> {
    pub(super) fn of(lines: &'a [LogLine]) -> Self {
        Self {
            seqs: lines.iter().map(|line| line.seq).collect(),
            times: lines.iter().map(|line| line.ts).collect(),
            levels: lines.iter().map(|line| line.level.as_str()).collect(),
            messages: lines.iter().map(|line| line.message.as_str()).collect(),
        }
    }
}

impl Claims {
    /// Stores lines of a run under way, so that others see them now.
    pub async fn append_logs(
        &self,
        attempt: Attempt,
        lines: &[LogLine],
    ) -> Result<FencedWrite, DatabaseError> {
        let columns = Columns::of(lines);
        let connection = self.database.connection().await?;
        let statement = connection.prepare_cached(APPEND).await?;
        let rows = connection
            .query(
                &statement,
                &[
                    &attempt.execution_id,
                    &attempt.number,
                    &&*self.worker_id,
                    &columns.seqs,
                    &columns.times,
                    &columns.levels,
                    &columns.messages,
                ],
            )
            .await?;
        Ok(FencedWrite::from_rows(rows.len()))
    }
}
