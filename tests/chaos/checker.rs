//! Independent checker of the final state, which does not depend on how it came about.

use super::{
    cluster::Cluster,
    faults::Record,
    load::{self, Accepted},
};
use anyhow::{Context as _, ensure};
use serde_json::Value;
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fmt,
    time::{Duration, Instant},
};
use tokio::time::sleep;
use uuid::Uuid;

/// Maximum time until everything has ended after the last fault: lease, reaper, and the backlog of a small machine.
const MAX_SETTLE_TIME: Duration = Duration::from_mins(4);
/// Maximum time until a run of a killed worker runs again.
const MAX_RECOVERY_TIME: Duration = Duration::from_secs(30);

/// Findings of the checker.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) accepted: usize,
    completed: usize,
    cancelled: usize,
    worker_lost: usize,
    /// Accepted executions without a row or without an end.
    lost: Vec<String>,
    /// Number of executions without an accepted key.
    surplus: usize,
    /// Number of executions that reached a terminal status more than once, or left one.
    ended_twice: i64,
    /// Executions with an end that no injected fault explains.
    ended_otherwise: Vec<String>,
    /// Number of completed executions whose final attempt never called the service.
    without_effect: usize,
    /// Number of executions that completed with a wrong result.
    wrong_result: usize,
    left_in_outbox: i64,
    left_in_queues: u32,
    dead_letters: usize,
    poison: usize,
    /// Times from the kill of a worker to the next start of each of its runs, ascending.
    recoveries: Vec<Duration>,
}

impl Report {
    /// Lists the broken promises.
    pub(crate) fn problems(&self) -> Vec<String> {
        let slowest = self.recoveries.last().copied().unwrap_or_default();
        let found = [
            (!self.lost.is_empty(), format!("lost: {:?}", self.lost)),
            (self.surplus > 0, format!("{} executions nobody asked for", self.surplus)),
            (self.ended_twice > 0, format!("{} ended more than once", self.ended_twice)),
            (!self.ended_otherwise.is_empty(), format!("ended otherwise: {:?}", self.ended_otherwise)),
            (self.without_effect > 0, format!("{} completed without their effect", self.without_effect)),
            (self.wrong_result > 0, format!("{} completed with a wrong result", self.wrong_result)),
            (self.left_in_outbox > 0, format!("{} rows left in the outbox", self.left_in_outbox)),
            (self.left_in_queues > 0, format!("{} messages left in the queues", self.left_in_queues)),
            // A message may be delivered, and then rejected, twice.
            (
                self.dead_letters < self.poison,
                format!("{} of {} dead letters", self.dead_letters, self.poison),
            ),
            (slowest > MAX_RECOVERY_TIME, format!("a killed run began again only after {slowest:?}")),
        ];
        found.into_iter().filter_map(|(is_one, problem)| is_one.then_some(problem)).collect()
    }

    /// Returns an error if a promise was broken.
    pub(crate) fn verdict(&self) -> anyhow::Result<()> {
        let problems = self.problems();
        ensure!(problems.is_empty(), "{}", problems.join("; "));
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = |share: f64| {
            let last = self.recoveries.len().saturating_sub(1);
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                clippy::cast_precision_loss,
                reason = "an index"
            )]
            let index = (last as f64 * share).round() as usize;
            self.recoveries.get(index).map_or(0.0, Duration::as_secs_f64)
        };
        write!(
            f,
            "{} accepted, {} completed, {} cancelled, {} worker_lost, {} lost, {} surplus, {} ended twice, {} ended otherwise, \
             {} without effect, {} wrong results, {} in outbox, {} in queues, {} dead letters of {}; \
             {} recoveries: p50 {:.1} s, p100 {:.1} s",
            self.accepted,
            self.completed,
            self.cancelled,
            self.worker_lost,
            self.lost.len(),
            self.surplus,
            self.ended_twice,
            self.ended_otherwise.len(),
            self.without_effect,
            self.wrong_result,
            self.left_in_outbox,
            self.left_in_queues,
            self.dead_letters,
            self.poison,
            self.recoveries.len(),
            at(0.5),
            at(1.0),
        )
    }
}

/// Final row of an execution.
#[derive(sqlx::FromRow)]
struct FinalRow {
    id: Uuid,
    status: String,
    attempt: i32,
    error_code: Option<String>,
    result: Option<String>,
}

impl FinalRow {
    fn is_over(&self) -> bool {
        matches!(self.status.as_str(), "completed" | "errored" | "cancelled")
    }
}

/// Checks the final state. The programs must have ended, so that no message is unacknowledged.
pub(crate) async fn check(cluster: &Cluster, accepted: &Accepted, record: &Record) -> anyhow::Result<Report> {
    let pool = &cluster.pool;
    let keys: Vec<(String, Uuid)> =
        sqlx::query_as("SELECT key, execution_id FROM idempotency_keys").fetch_all(pool).await?;
    let keys: BTreeMap<String, Uuid> = keys.into_iter().collect();
    let rows: Vec<FinalRow> = sqlx::query_as(
        "SELECT id, status, attempt, error_code, result::text AS result FROM script_executions",
    )
    .fetch_all(pool)
    .await?;
    let effects = effects(cluster);
    let mut report = Report { accepted: accepted.len(), poison: record.poison, ..Report::default() };
    let rows_by_id: HashMap<Uuid, &FinalRow> = rows.iter().map(|row| (row.id, row)).collect();
    let mut asked_for = HashSet::<Uuid>::new();
    for (key, id) in accepted {
        let found = keys.get(key).filter(|found| id.is_none_or(|id| id == **found));
        asked_for.extend(found);
        let row = found.and_then(|id| rows_by_id.get(id)).filter(|row| row.is_over());
        let Some(row) = row else {
            report.lost.push(key.clone());
            continue;
        };
        match (row.status.as_str(), row.error_code.as_deref()) {
            ("cancelled", _) if key.starts_with(load::CANCELLED_KEY) => report.cancelled += 1,
            ("completed", _) => {
                report.completed += 1;
                report.without_effect += usize::from(!effects.contains(&(row.id, row.attempt)));
                report.wrong_result += usize::from(row.result.as_deref() != key.strip_prefix(load::KEY));
            }
            (_, Some("worker_lost")) => report.worker_lost += 1,
            (status, code) => {
                report.ended_otherwise.push(format!("{} {status} {}", row.id, code.unwrap_or("-")));
            }
        }
    }
    report.surplus = rows.iter().filter(|row| !asked_for.contains(&row.id)).count();
    report.ended_twice = sqlx::query_scalar(ENDED_TWICE).fetch_one(pool).await?;
    report.left_in_outbox = sqlx::query_scalar("SELECT count(*) FROM outbox").fetch_one(pool).await?;
    for queue in [&cluster.topology.executions, &cluster.topology.events] {
        report.left_in_queues += cluster.broker.ready_messages(queue).await.context("the broker")?;
    }
    report.dead_letters = dead_letters(cluster).await?;
    report.recoveries = recoveries(cluster, record).await?;
    Ok(report)
}

const ENDED_TWICE: &str = "SELECT count(*) FROM (
    SELECT execution_id FROM status_audit GROUP BY execution_id
    HAVING count(*) FILTER (WHERE new IN ('completed', 'errored', 'cancelled')) > 1
        OR bool_or(old IN ('completed', 'errored', 'cancelled'))) AS twice";

/// Waits until every execution has ended and all queues are empty, for at most [`MAX_SETTLE_TIME`].
pub(crate) async fn settle(cluster: &Cluster, accepted: usize) -> anyhow::Result<()> {
    let deadline = Instant::now() + MAX_SETTLE_TIME;
    let accepted = i64::try_from(accepted)?;
    while Instant::now() < deadline {
        let (ended, outbox): (i64, i64) = sqlx::query_as(
            "SELECT (SELECT count(*) FROM script_executions WHERE finished_at IS NOT NULL),
                    (SELECT count(*) FROM outbox)",
        )
        .fetch_one(&cluster.pool)
        .await?;
        let events = cluster.broker.ready_messages(&cluster.topology.events).await;
        let executions = cluster.broker.ready_messages(&cluster.topology.executions).await;
        if ended >= accepted && outbox == 0 && events == Some(0) && executions == Some(0) {
            return Ok(());
        }
        sleep(Duration::from_millis(200)).await;
    }
    Ok(())
}

/// Returns the calls that the service recorded, by execution and attempt.
fn effects(cluster: &Cluster) -> HashSet<(Uuid, i32)> {
    let effect = |message: Value| {
        let id = message["execution"].as_str()?.parse().ok()?;
        Some((id, i32::try_from(message["attempt"].as_i64()?).ok()?))
    };
    cluster.service.posted().iter().filter_map(|posted| effect(posted.json())).collect()
}

/// Returns the number of dead letters, stored or still in their queue.
pub(crate) async fn dead_letters(cluster: &Cluster) -> anyhow::Result<usize> {
    let (stored, without_reason): (i64, i64) =
        sqlx::query_as("SELECT count(*), count(*) FILTER (WHERE reason = '') FROM dead_letters")
            .fetch_one(&cluster.pool)
            .await?;
    ensure!(without_reason == 0, "a dead letter without a reason");
    let waiting = cluster.broker.ready_messages(&cluster.topology.dead).await.context("the broker")?;
    Ok(usize::try_from(stored)? + usize::try_from(waiting)?)
}

/// Measures the recovery time of every run of the killed workers.
async fn recoveries(cluster: &Cluster, record: &Record) -> anyhow::Result<Vec<Duration>> {
    let mut recoveries = Vec::new();
    for (worker, killed) in &record.killed {
        let seconds: Vec<Option<f64>> = sqlx::query_scalar(
            "SELECT extract(epoch FROM (
                 SELECT min(again.at) FROM status_audit again
                 WHERE again.execution_id = taken.execution_id AND again.at > $2 AND again.new <> 'queued') - $2)::float8
             FROM status_audit taken
             WHERE taken.worker_id = $1 AND taken.new = 'running' AND taken.at <= $2
                 AND NOT EXISTS (SELECT FROM status_audit past
                     WHERE past.execution_id = taken.execution_id AND past.id > taken.id AND past.at <= $2)",
        )
        .bind(worker)
        .bind(killed)
        .fetch_all(&cluster.pool)
        .await?;
        recoveries
            .extend(seconds.into_iter().flatten().map(|seconds| Duration::from_secs_f64(seconds.max(0.0))));
    }
    recoveries.sort_unstable();
    Ok(recoveries)
}
