//! One attempt of one execution: claim, prepare, run, persist.
//!
//! Invariant: nothing of the script is started before the claim is on disk, or a crash of the database would have it run
//! twice. Preparing goes on meanwhile.

use super::{
    Ended, Runner,
    in_flight::AttemptGuard,
    log_writer, persist,
    prepare::{PrepareError, Prepared},
    record,
    settle::{Decision, Settlement},
    store,
};
use crate::{
    db::DatabaseError,
    lease::{ClaimResult, Claimed, DurableClaim, RowError},
    supervisor::{RunContext, Slot},
};
use shared::{
    backoff::Backoff,
    execution::ErrorCode,
    outcome::{Usage, Verdict},
    telemetry::{
        metrics::EXECUTION_QUEUE,
        traces::{self, Span},
    },
};
use std::time::{Instant, SystemTime};
use tokio::sync::mpsc;
use uuid::Uuid;

/// Claims, runs and persists. An error leaves open whether the claim holds; nothing was run then.
pub(super) async fn attempt(
    runner: &Runner,
    slot: Slot,
    execution_id: Uuid,
    traceparent: Option<String>,
) -> Result<Settlement, DatabaseError> {
    let mut step = traces::process(traceparent);
    step.set_execution_id(execution_id);
    let claiming = traces::child("claim", &step);
    let claim = match claim(runner, execution_id).await {
        Ok(claim) => claim,
        Err(settlement) => return Ok(settlement),
    };
    drop(claiming);
    step.set_attribute("attempt", || claim.attempt.number.to_string());
    let guard = runner.attempts.register(claim.attempt);
    let preparing = async |row: Result<Claimed, RowError>| match row {
        Ok(claimed) => Ok((prepare(runner, &claimed, &guard).await, claimed)),
        Err(error) => Err(error),
    };
    match claim.prepare(preparing).await? {
        Ok((Ok(prepared), claimed)) => {
            let ended = run(runner, slot, prepared, &claimed, &guard).await;
            end(runner, step, &claimed, &guard, &ended).await;
        }
        Ok((Err(ended), claimed)) => end(runner, step, &claimed, &guard, &ended).await,
        Err(error) => give_up(runner, &guard, &error).await,
    }
    Ok(Settlement::Ack)
}

/// Ends an attempt whose row can't be read.
async fn give_up(runner: &Runner, guard: &AttemptGuard<'_>, error: &RowError) {
    tracing::error!(%error, "a row that can't be read");
    let ended = Ended::broken("the stored execution can't be read");
    let stored = store(runner, guard, Decision::Finish, &ended).await;
    record(Decision::Finish, stored.as_deref(), guard.attempt(), &ended);
}

async fn end(runner: &Runner, mut step: Span, claimed: &Claimed, guard: &AttemptGuard<'_>, ended: &Ended) {
    trace_phases(&step, ended);
    let persisting = traces::child("persist", &step);
    persist(runner, claimed, guard, ended).await;
    drop(persisting);
    if let Verdict::Failed(error) = &ended.outcome.verdict {
        step.fail(error.code.as_str());
    }
}

/// Adds spans for the two phases that the sandbox measured; they ended when the run did.
fn trace_phases(step: &Span, ended: &Ended) {
    let Usage { init, run, .. } = ended.outcome.usage;
    if init.is_zero() {
        return;
    }
    let run_began = SystemTime::now() - ended.ended_at.elapsed() - run;
    traces::completed_child("init", step, run_began - init, init);
    if !run.is_zero() {
        traces::completed_child("run", step, run_began, run);
    }
}

/// Claims, waiting for the database as long as it takes. Returns as an error how to settle a message without a run.
async fn claim(runner: &Runner, execution_id: Uuid) -> Result<Box<DurableClaim>, Settlement> {
    let mut backoff = Backoff::CONNECTION;
    loop {
        if runner.stopping.is_cancelled() {
            return Err(Settlement::Requeue);
        }
        match runner.claims.claim(execution_id).await {
            Ok(ClaimResult::Claimed(claim)) => return Ok(claim),
            Ok(ClaimResult::Unavailable(status)) => {
                tracing::debug!(status, "the execution does not wait for a worker");
                return Err(Settlement::Ack);
            }
            Ok(ClaimResult::NotFound) => {
                tracing::warn!("the execution of a message does not exist");
                return Err(Settlement::Ack);
            }
            Err(error) => {
                tracing::warn!(%error, "can't claim");
                backoff.wait().await;
            }
        }
    }
}

async fn run(
    runner: &Runner,
    slot: Slot,
    prepared: Prepared,
    claimed: &Claimed,
    guard: &AttemptGuard<'_>,
) -> Ended {
    EXECUTION_QUEUE.with([claimed.trigger_type.as_str()]).record(claimed.queue_ms / 1000.0);
    // Room for every line the run may have, one that is cut and the note that says so: a database that is away
    // holds up no script.
    let (logs, lines) = mpsc::channel(prepared.job.limits.log_lines + 2);
    let context = RunContext {
        allowed_domains: prepared.allowed_domains,
        plane_token: prepared.plane_token,
        cancel: guard.cancel_token(),
        logs,
        first_log_seq: claimed.last_log_seq + 1,
    };
    let run = async { (slot.run(prepared.job, context).await, Instant::now()) };
    let store_lines = log_writer::forward(&runner.claims, claimed.attempt, claimed.last_log_seq, lines);
    let ((outcome, ended_at), rest) = tokio::join!(run, store_lines);
    Ended { outcome, lines: rest.unstored, last_log_seq: rest.last_seq, ended_at }
}

/// Prepares, waiting for the database as long as the attempt is ours.
async fn prepare(runner: &Runner, claimed: &Claimed, guard: &AttemptGuard<'_>) -> Result<Prepared, Ended> {
    let mut backoff = Backoff::CONNECTION;
    while guard.interruption().is_none() {
        match runner.preparation.prepare(claimed).await {
            Ok(prepared) => return Ok(prepared),
            Err(PrepareError::Database(error)) => {
                tracing::warn!(%error, "can't prepare");
                backoff.wait().await;
            }
            Err(PrepareError::Corrupt(corrupt)) => {
                tracing::error!(error = %corrupt, "can't be prepared");
                return Err(Ended::broken(&corrupt.to_string()));
            }
        }
    }
    Err(Ended::before_its_run(ErrorCode::Cancelled, "cancelled"))
}
