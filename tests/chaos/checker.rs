//! Reads what is left, knowing nothing of how it came about.

use super::{faults::Record, site::Site};
use anyhow::{Context as _, ensure};
use serde_json::Value;
use std::{
    collections::{BTreeMap, HashSet},
    fmt,
    time::{Duration, Instant},
};
use tokio::time::sleep;
use uuid::Uuid;

/// For everything to end once nothing goes wrong any more: lease, reaper, and the backlog of a small machine.
const SETTLED_WITHIN: Duration = Duration::from_mins(4);
/// A run whose worker was killed runs again within this time.
const RECOVERY: Duration = Duration::from_secs(30);

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) accepted: usize,
    pub(crate) completed: i64,
    pub(crate) worker_lost: i64,
    /// Accepted, but no row, or not ended.
    pub(crate) lost: Vec<String>,
    /// Rows beyond one per key.
    pub(crate) surplus: i64,
    /// Executions that went to a terminal status more than once, or left one.
    pub(crate) ended_twice: i64,
    /// Completed, but the service was never called by the attempt that counts.
    pub(crate) without_effect: usize,
    pub(crate) left_in_outbox: i64,
    pub(crate) left_in_queue: u32,
    pub(crate) dead_letters: usize,
    pub(crate) poison: usize,
    /// From the kill of a worker to the next start of each of its runs, ascending.
    pub(crate) recoveries: Vec<Duration>,
}

impl Report {
    /// Whether all promises were kept.
    pub(crate) fn verdict(&self) -> anyhow::Result<()> {
        ensure!(self.lost.is_empty(), "lost: {:?}", self.lost);
        ensure!(self.surplus == 0, "{} executions nobody asked for", self.surplus);
        ensure!(self.ended_twice == 0, "{} ended more than once", self.ended_twice);
        ensure!(self.without_effect == 0, "{} completed without their effect", self.without_effect);
        ensure!(self.left_in_outbox == 0, "{} rows left in the outbox", self.left_in_outbox);
        ensure!(self.left_in_queue == 0, "{} messages left in the queue", self.left_in_queue);
        // A message may be delivered, and then rejected, twice.
        ensure!(self.dead_letters >= self.poison, "{} of {} dead letters", self.dead_letters, self.poison);
        let slowest = self.recoveries.last().copied().unwrap_or_default();
        ensure!(slowest <= RECOVERY, "a killed run began again only after {slowest:?}");
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
            "{} accepted, {} completed, {} worker_lost, {} lost, {} surplus, {} ended twice, {} without effect, \
             {} in outbox, {} in queue, {} dead letters of {}; {} recoveries: p50 {:.1} s, p100 {:.1} s",
            self.accepted,
            self.completed,
            self.worker_lost,
            self.lost.len(),
            self.surplus,
            self.ended_twice,
            self.without_effect,
            self.left_in_outbox,
            self.left_in_queue,
            self.dead_letters,
            self.poison,
            self.recoveries.len(),
            at(0.5),
            at(1.0),
        )
    }
}

/// Waits until all is quiet, then looks.
pub(crate) async fn check(
    site: &Site,
    accepted: &BTreeMap<String, Option<Uuid>>,
    record: &Record,
) -> anyhow::Result<Report> {
    settle(site, accepted.len()).await?;
    let pool = &site.pool;
    let count =
        async |sql: &'static str| anyhow::Ok(sqlx::query_scalar::<_, i64>(sql).fetch_one(pool).await?);
    let keys: Vec<(String, Uuid)> =
        sqlx::query_as("SELECT key, execution_id FROM idempotency_keys").fetch_all(pool).await?;
    let keys: BTreeMap<String, Uuid> = keys.into_iter().collect();
    let ended: Vec<(Uuid, String, i32)> = sqlx::query_as(
        "SELECT id, status, attempt FROM script_executions WHERE status IN ('completed', 'errored', 'cancelled')",
    )
    .fetch_all(pool)
    .await?;
    let effects = effects(site);
    let ids: HashSet<Uuid> = ended.iter().map(|(id, ..)| *id).collect();
    let lost = |(key, id): (&String, &Option<Uuid>)| {
        let found = keys.get(key).filter(|found| id.is_none_or(|id| id == **found));
        (!found.is_some_and(|found| ids.contains(found))).then(|| key.clone())
    };
    let without_effect = |(id, status, attempt): &&(Uuid, String, i32)| {
        status == "completed" && !effects.contains(&(*id, *attempt))
    };
    Ok(Report {
        accepted: accepted.len(),
        completed: count("SELECT count(*) FROM script_executions WHERE status = 'completed'").await?,
        worker_lost: count("SELECT count(*) FROM script_executions WHERE error_code = 'worker_lost'").await?,
        lost: accepted.iter().filter_map(lost).collect(),
        surplus: count("SELECT count(*) FROM script_executions").await? - i64::try_from(accepted.len())?,
        ended_twice: count(ENDED_TWICE).await?,
        without_effect: ended.iter().filter(without_effect).count(),
        left_in_outbox: count("SELECT count(*) FROM outbox").await?,
        left_in_queue: site.broker.ready_messages(&site.topology.executions).await.context("the broker")?,
        dead_letters: dead_letters(site).await?,
        poison: record.poison,
        recoveries: recoveries(site, record).await?,
    })
}

const ENDED_TWICE: &str = "SELECT count(*) FROM (
    SELECT execution_id FROM status_audit GROUP BY execution_id
    HAVING count(*) FILTER (WHERE new IN ('completed', 'errored', 'cancelled')) > 1
        OR bool_or(old IN ('completed', 'errored', 'cancelled'))) AS twice";

/// Returns when every execution is ended and nothing waits anywhere, or when it takes too long.
async fn settle(site: &Site, accepted: usize) -> anyhow::Result<()> {
    let deadline = Instant::now() + SETTLED_WITHIN;
    let accepted = i64::try_from(accepted)?;
    while Instant::now() < deadline {
        let (ended, outbox): (i64, i64) = sqlx::query_as(
            "SELECT (SELECT count(*) FROM script_executions WHERE finished_at IS NOT NULL),
                    (SELECT count(*) FROM outbox)",
        )
        .fetch_one(&site.pool)
        .await?;
        let events = site.broker.ready_messages(&site.topology.events).await;
        let executions = site.broker.ready_messages(&site.topology.executions).await;
        if ended >= accepted && outbox == 0 && events == Some(0) && executions == Some(0) {
            return Ok(());
        }
        sleep(Duration::from_millis(200)).await;
    }
    Ok(())
}

/// What the service recorded: execution and attempt.
fn effects(site: &Site) -> HashSet<(Uuid, i32)> {
    let effect = |message: Value| {
        let id = message["execution"].as_str()?.parse().ok()?;
        Some((id, i32::try_from(message["attempt"].as_i64()?).ok()?))
    };
    site.service.posted().iter().filter_map(|posted| effect(posted.json())).collect()
}

async fn dead_letters(site: &Site) -> anyhow::Result<usize> {
    let letters = shared::queue::DeadLetters::new(site.broker.clone(), site.topology.clone());
    let letters = letters.list(shared::queue::dead_letters::LOOKED_THROUGH).await?;
    ensure!(letters.iter().all(|letter| !letter.reason.is_empty()), "a dead letter without a reason");
    Ok(letters.len())
}

/// For every run that a killed worker had: how long until it ran again.
async fn recoveries(site: &Site, record: &Record) -> anyhow::Result<Vec<Duration>> {
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
        .fetch_all(&site.pool)
        .await?;
        recoveries
            .extend(seconds.into_iter().flatten().map(|seconds| Duration::from_secs_f64(seconds.max(0.0))));
    }
    recoveries.sort_unstable();
    Ok(recoveries)
}
