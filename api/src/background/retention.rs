//! Keeps the tables in shape: partitions ahead of time, history dropped by age, keys and nonces forgotten.
//!
//! Invariant: history goes by whole weeks, and a week goes only when all of it is older than the retention and none of it is
//! still to be run. Each step is a transaction with a limit of its own, so that one that fails leaves the others done, and the
//! next round goes on where this one ended.

use crate::db::retention::{self as db, OldWeek, Parent, PartitionLink, PrunedTable, STATEMENT_LIMIT};
use shared::backoff::Backoff;
use sqlx::PgPool;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Minutes between rounds. One that finds nothing to do costs a few reads of the catalog, and a week that is missing, because
/// the database's clock was set or nothing ran for a month, is there this soon.
const INTERVAL: Duration = Duration::from_mins(1);
/// Longest time of a step, in seconds: the server's limit of its statements comes first, if the server is heard.
const STEP_LIMIT: Duration = STATEMENT_LIMIT.saturating_add(Duration::from_secs(15));
/// Minutes for which a process that dies keeps others from maintenance. Renewed before each step, and longer than any takes.
const LEASE_DURATION: Duration = Duration::from_mins(2);
/// Hours for which idempotency keys are remembered: longer than any broker or client repeats itself.
const KEY_RETENTION: Duration = Duration::from_hours(7 * 24);
/// Seconds for which nonces are remembered: signed requests older than the clock skew are refused by their timestamp alone.
const NONCE_RETENTION: Duration = Duration::from_secs(2 * shared::signing::CLOCK_SKEW_S);
/// Rows per transaction that deletes them.
const PRUNE_BATCH_ROWS: i64 = 1_000;
/// Seconds of a round for deleting rows of one table; what is left then is for the next round.
const PRUNE_TIME_LIMIT: Duration = Duration::from_secs(20);

/// Looks after the tables until told to stop. `keep` is the age at which executions and their logs go; `None` keeps
/// them.
pub async fn run(pool: PgPool, retention: Option<Duration>, shutdown: CancellationToken) {
    let mut interval = Backoff::new(INTERVAL, INTERVAL);
    let rounds = async {
        loop {
            match run_maintenance(&pool, retention).await {
                Ok(Some(report)) => report.log(),
                Ok(None) => tracing::debug!("another process does table maintenance"),
                Err(error) => tracing::warn!(%error, "table maintenance could not begin"),
            }
            interval.wait().await;
        }
    };
    // A round may be cut off anywhere: its lease runs out, and the next one finishes what it began.
    shutdown.run_until_cancelled(Box::pin(rounds)).await;
}

/// What a round has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Tables, two per week.
    pub partitions_made: i32,
    pub weeks_dropped: u32,
    /// Weeks that are old enough to go, but hold something that is still to be run.
    pub weeks_kept: u32,
    pub keys_pruned: u64,
    pub nonces_pruned: u64,
    /// Steps that were not done. Each was logged with its reason.
    pub failures: u32,
}

impl Report {
    fn log(&self) {
        let Self { partitions_made, weeks_dropped, weeks_kept, failures, .. } = *self;
        let has_changed = partitions_made > 0 || weeks_dropped > 0;
        if has_changed || failures > 0 {
            tracing::info!(partitions_made, weeks_dropped, weeks_kept, failures, "table maintenance");
        }
    }

    fn failed(&mut self, error: &StepError, what: &'static str) {
        tracing::warn!(%error, "{what}");
        self.failures += 1;
    }
}

/// Why a step was not done.
#[derive(Debug, thiserror::Error)]
enum StepError {
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    #[error("the database did not answer within {} s", STEP_LIMIT.as_secs())]
    Late,
    #[error("another process has taken over")]
    Superseded,
}

/// Runs one round; `None` if another process is at it.
pub async fn run_maintenance(pool: &PgPool, retention: Option<Duration>) -> sqlx::Result<Option<Report>> {
    let round = Round { pool, holder: Uuid::now_v7() };
    if !db::take_lease(pool, round.holder, LEASE_DURATION).await? {
        return Ok(None);
    }
    let mut report = Report::default();
    // First, whatever becomes of the rest: without partitions nothing is accepted.
    match round.step(db::make_partitions(pool)).await {
        Ok(made) => report.partitions_made = made,
        Err(error) => report.failed(&error, "partitions could not be made ahead"),
    }
    match round.step(db::old_weeks(pool, retention)).await {
        Ok(weeks) => round.process_weeks(&weeks, &mut report).await,
        Err(error) => report.failed(&error, "the weeks of history could not be listed"),
    }
    match round.prune(PrunedTable::IdempotencyKeys, KEY_RETENTION).await {
        Ok(pruned) => report.keys_pruned = pruned,
        Err(error) => report.failed(&error, "old idempotency keys could not be deleted"),
    }
    match round.prune(PrunedTable::RequestNonces, NONCE_RETENTION).await {
        Ok(pruned) => report.nonces_pruned = pruned,
        Err(error) => report.failed(&error, "old nonces could not be deleted"),
    }
    db::end_lease(pool, round.holder, report.failures == 0).await?;
    Ok(Some(report))
}

/// What became of a week that is to go.
enum WeekOutcome {
    Dropped,
    /// It stays until all of it is over, or because the retention has become longer.
    Kept,
}

struct Round<'a> {
    pool: &'a PgPool,
    holder: Uuid,
}

impl Round<'_> {
    /// Runs a step, if maintenance is still ours.
    async fn step<T>(&self, work: impl Future<Output = sqlx::Result<T>>) -> Result<T, StepError> {
        let limited = async {
            if !db::take_lease(self.pool, self.holder, LEASE_DURATION).await? {
                return Err(StepError::Superseded);
            }
            Ok(work.await?)
        };
        tokio::time::timeout(STEP_LIMIT, limited).await.unwrap_or(Err(StepError::Late))
    }

    async fn process_weeks(&self, weeks: &[OldWeek], report: &mut Report) {
        for old in weeks {
            let outcome = if old.is_due { self.retire(*old).await } else { self.restore(*old).await };
            match outcome {
                Ok(WeekOutcome::Dropped) => report.weeks_dropped += 1,
                Ok(WeekOutcome::Kept) => report.weeks_kept += u32::from(old.is_due),
                Err(error) => {
                    tracing::warn!(%error, week = %old.week, "a week of history could not be dropped");
                    report.failures += 1;
                }
            }
        }
    }

    /// Takes a week out of the tables and drops it.
    async fn retire(&self, mut old: OldWeek) -> Result<WeekOutcome, StepError> {
        if old.executions == Some(PartitionLink::Attached) && self.has_unfinished(&old).await? {
            return Ok(WeekOutcome::Kept);
        }
        self.step(db::begin_retiring(self.pool, old.week)).await?;
        self.detach(&mut old, Parent::Executions).await?;
        // Somebody may have written between the look and the detach; now nobody can any more.
        if old.executions.is_some() && self.has_unfinished(&old).await? {
            return self.restore(old).await;
        }
        self.detach(&mut old, Parent::Logs).await?;
        if self.step(db::drop_week(self.pool, &old)).await? {
            return Ok(WeekOutcome::Dropped);
        }
        self.restore(old).await
    }

    /// Takes back what was begun: the week holds something to be run, or is no longer old enough to go.
    async fn restore(&self, mut old: OldWeek) -> Result<WeekOutcome, StepError> {
        for (parent, link) in old.tables() {
            if link == Some(PartitionLink::Detaching) {
                self.detach(&mut old, parent).await?;
            }
        }
        self.step(db::restore_week(self.pool, &old)).await?;
        Ok(WeekOutcome::Kept)
    }

    async fn has_unfinished(&self, old: &OldWeek) -> Result<bool, StepError> {
        self.step(db::has_unfinished(self.pool, old.week)).await
    }

    /// Sees to it that a week's table, if there is one, is detached.
    async fn detach(&self, old: &mut OldWeek, parent: Parent) -> Result<(), StepError> {
        match old.link(parent) {
            Some(PartitionLink::Attached) => self.step(db::detach(self.pool, parent, old.week)).await?,
            Some(PartitionLink::Detaching) => {
                self.step(db::finish_detach(self.pool, parent, old.week)).await?
            }
            Some(PartitionLink::Detached) | None => return Ok(()),
        }
        old.mark_detached(parent);
        Ok(())
    }

    /// Deletes batch after batch until one is not full, or the time is over. Returns how many rows went.
    async fn prune(&self, what: PrunedTable, age: Duration) -> Result<u64, StepError> {
        let (began, mut since, mut rows) = (Instant::now(), None, 0);
        loop {
            let pruned = self.step(db::prune(self.pool, what, age, since, PRUNE_BATCH_ROWS)).await?;
            rows += u64::try_from(pruned.rows).unwrap_or_default();
            if pruned.rows < PRUNE_BATCH_ROWS || began.elapsed() > PRUNE_TIME_LIMIT {
                return Ok(rows);
            }
            since = pruned.until;
        }
    }
}
