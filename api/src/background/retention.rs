//! Table maintenance: makes partitions ahead of time, drops old history, deletes old keys and nonces.
//!
//! Invariant: history is dropped by whole weeks. A week is dropped only when all of it is older than the retention and
//! none of its executions is queued or running. Each step is a transaction with a time limit of its own: one that fails
//! leaves the others done, and the next round continues where this one ended.

use crate::db::retention::{self as db, OldWeek, Parent, PartitionLink, PrunedTable, STATEMENT_LIMIT};
use shared::backoff::Backoff;
use sqlx::PgPool;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Minutes between rounds. A round that finds nothing to do costs a few reads of the catalog. A missing week is made
/// within this time: the database's clock may have been set, or no round may have run for a month.
const INTERVAL: Duration = Duration::from_mins(1);
/// Longest time of a step, in seconds. The server's limit on its statements applies first, if the server answers.
const STEP_LIMIT: Duration = STATEMENT_LIMIT.saturating_add(Duration::from_secs(15));
/// Minutes of the lease, for which a process that died keeps others from maintenance. It is renewed before each step,
/// and longer than any step takes.
const LEASE_DURATION: Duration = Duration::from_mins(2);
/// Hours for which idempotency keys are kept: longer than any broker or client repeats a request.
const KEY_RETENTION: Duration = Duration::from_hours(7 * 24);
/// Seconds for which nonces are kept: signed requests older than the clock skew are rejected by their timestamp alone.
const NONCE_RETENTION: Duration = Duration::from_secs(2 * shared::signing::CLOCK_SKEW_S);
/// Limits the rows that one transaction deletes.
const PRUNE_BATCH_ROWS: i64 = 1_000;
/// Limits the seconds of a round for deleting rows of one table; the next round deletes the rest.
const PRUNE_TIME_LIMIT: Duration = Duration::from_secs(20);

/// Maintains the tables until `shutdown`. `retention` is the age at which executions, their logs and dead letters are
/// dropped; `None` keeps them.
pub(crate) async fn run(pool: PgPool, retention: Option<Duration>, shutdown: CancellationToken) {
    let mut interval = Backoff::new(INTERVAL, INTERVAL);
    let rounds = async {
        loop {
            match run_maintenance(&pool, retention).await {
                Ok(Some(report)) => report.log(),
                Ok(None) => tracing::debug!("another process does table maintenance"),
                Err(error) => tracing::warn!(%error, "can't begin table maintenance"),
            }
            interval.wait().await;
        }
    };
    // A round may be cancelled anywhere: its lease runs out, and the next round finishes its work.
    shutdown.run_until_cancelled(Box::pin(rounds)).await;
}

/// The results of a round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Number of tables, two per week.
    pub partitions_made: i32,
    pub weeks_dropped: u32,
    /// Weeks that are old enough, but have queued or running executions.
    pub weeks_kept: u32,
    pub keys_pruned: u64,
    pub nonces_pruned: u64,
    pub letters_pruned: u64,
    /// Steps that failed. Each was logged with its reason.
    pub failures: u32,
}

impl Report {
    fn log(&self) {
        let Self { partitions_made, weeks_dropped, weeks_kept, failures, .. } = *self;
        let has_changed = partitions_made > 0 || weeks_dropped > 0;
        if has_changed || failures > 0 {
            tracing::info!(partitions_made, weeks_dropped, weeks_kept, failures, "table maintenance done");
        }
    }

    fn failed(&mut self, error: &StepError, what: &'static str) {
        tracing::warn!(%error, "{what}");
        self.failures += 1;
    }
}

/// The error of a step.
#[derive(Debug, thiserror::Error)]
enum StepError {
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    #[error("the database did not answer a step of table maintenance within {} s", STEP_LIMIT.as_secs())]
    Timeout,
    #[error("another process has taken over table maintenance")]
    Superseded,
}

/// Runs one round. Returns `None` if another process runs one.
pub async fn run_maintenance(pool: &PgPool, retention: Option<Duration>) -> sqlx::Result<Option<Report>> {
    let round = Round { pool, holder: Uuid::now_v7() };
    if !db::take_lease(pool, round.holder, LEASE_DURATION).await? {
        return Ok(None);
    }
    let mut report = Report::default();
    // This step is first, whether or not the others fail: without partitions no execution is accepted.
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
    if let Some(retention) = retention {
        match round.prune(PrunedTable::DeadLetters, retention).await {
            Ok(pruned) => report.letters_pruned = pruned,
            Err(error) => report.failed(&error, "old dead letters could not be deleted"),
        }
    }
    db::end_lease(pool, round.holder, report.failures == 0).await?;
    Ok(Some(report))
}

/// The outcome of processing an old week.
enum WeekOutcome {
    Dropped,
    /// It stays until its executions are finished, or because the retention has become longer.
    Kept,
}

struct Round<'a> {
    pool: &'a PgPool,
    holder: Uuid,
}

impl Round<'_> {
    /// Runs a step, if this process still has the lease.
    async fn step<T>(&self, work: impl Future<Output = sqlx::Result<T>>) -> Result<T, StepError> {
        let limited = async {
            if !db::take_lease(self.pool, self.holder, LEASE_DURATION).await? {
                return Err(StepError::Superseded);
            }
            Ok(work.await?)
        };
        tokio::time::timeout(STEP_LIMIT, limited).await.unwrap_or(Err(StepError::Timeout))
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

    /// Detaches the tables of a week and drops them.
    async fn retire(&self, mut old: OldWeek) -> Result<WeekOutcome, StepError> {
        if old.executions == Some(PartitionLink::Attached) && self.has_unfinished(&old).await? {
            return Ok(WeekOutcome::Kept);
        }
        self.step(db::begin_retiring(self.pool, old.week)).await?;
        self.detach(&mut old, Parent::Executions).await?;
        // A writer may have written between the check and the detach. Now none can any more.
        if old.executions.is_some() && self.has_unfinished(&old).await? {
            return self.restore(old).await;
        }
        self.detach(&mut old, Parent::Logs).await?;
        if self.step(db::drop_week(self.pool, &old)).await? {
            return Ok(WeekOutcome::Dropped);
        }
        self.restore(old).await
    }

    /// Undoes a removal that was begun: the week has queued or running executions, or is no longer old enough.
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

    /// Detaches a week's table, if there is one and it is not detached yet.
    async fn detach(&self, old: &mut OldWeek, parent: Parent) -> Result<(), StepError> {
        match old.link(parent) {
            Some(PartitionLink::Attached) => self.step(db::detach(self.pool, parent, old.week)).await?,
            Some(PartitionLink::Detaching) => {
                self.step(db::finish_detach(self.pool, parent, old.week)).await?;
            }
            Some(PartitionLink::Detached) | None => return Ok(()),
        }
        old.mark_detached(parent);
        Ok(())
    }

    /// Deletes batch after batch until one is not full, or the time is over. Returns the number of deleted rows.
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
