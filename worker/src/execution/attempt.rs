//! Processing of one attempt: claim, prepare, run, persist.
//!
//! Invariant: no part of the script runs before the claim is on disk, since it would run twice after a crash of the
//! database. The preparation runs while the claim is flushed.

use super::{
    FinishedRun, Runner,
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

/// Claims, runs and persists. Returns how to settle the message. After an error the claim may or may not be stored, and
/// nothing was run.
pub(super) async fn attempt(
    runner: &Runner,
    slot: Slot,
    execution_id: Uuid,
    traceparent: Option<String>,
) -> Result<Settlement, DatabaseError> {
    let mut span = traces::process(traceparent);
    span.set_execution_id(execution_id);
    let claiming = traces::child("claim", &span);
    let claim = match claim(runner, execution_id).await {
        Ok(claim) => claim,
        Err(settlement) => return Ok(settlement),
    };
    drop(claiming);
    span.set_attribute("attempt", || claim.attempt.number.to_string());
    let guard = runner.attempts.register(claim.attempt);
    let preparing = async |row: Result<Claimed, RowError>| match row {
        Ok(claimed) => Ok((prepare(runner, &claimed, &guard).await, claimed)),
        Err(error) => Err(error),
    };
    match claim.prepare(preparing).await? {
        Ok((Ok(prepared), claimed)) => {
            name_tenant(&mut span, &claimed);
            let finished = run(runner, slot, prepared, &claimed, &guard).await;
            end(runner, span, &claimed, &guard, &finished).await;
        }
        Ok((Err(not_started), claimed)) => {
            name_tenant(&mut span, &claimed);
            end(runner, span, &claimed, &guard, &not_started).await;
        }
        Err(error) => give_up(runner, &guard, &error).await,
    }
    Ok(Settlement::Ack)
}

/// Adds workspace and script to the trace's span, and to all further log lines of the execution.
fn name_tenant(span: &mut Span, claimed: &Claimed) {
    let lines = tracing::Span::current();
    span.set_attribute("workspace.id", || claimed.workspace_id.to_string());
    lines.record("workspace.id", tracing::field::display(claimed.workspace_id));
    if let Some(script_id) = claimed.script_id {
        span.set_attribute("script.id", || script_id.to_string());
        lines.record("script.id", tracing::field::display(script_id));
    }
}

/// Ends an attempt whose row can't be read.
async fn give_up(runner: &Runner, guard: &AttemptGuard<'_>, error: &RowError) {
    tracing::error!(%error, "the row of an execution can't be read");
    let corrupt = FinishedRun::corrupt("the stored execution can't be read");
    let stored = store(runner, guard, Decision::Finish, &corrupt).await;
    record(stored, guard.attempt(), &corrupt);
}

/// Persists the end of an attempt, and records it in the attempt's span.
async fn end(
    runner: &Runner,
    mut span: Span,
    claimed: &Claimed,
    guard: &AttemptGuard<'_>,
    finished: &FinishedRun,
) {
    trace_phases(&span, finished);
    let persisting = traces::child("persist", &span);
    persist(runner, claimed, guard, finished).await;
    drop(persisting);
    if let Verdict::Failed(error) = &finished.outcome.verdict {
        span.fail(error.code.as_str());
    }
}

/// Adds spans for the two phases that the sandbox measured. The second ends with the run.
fn trace_phases(span: &Span, finished: &FinishedRun) {
    let Usage { init, run, .. } = finished.outcome.usage;
    if init.is_zero() {
        return;
    }
    let run_began = SystemTime::now() - finished.ended_at.elapsed() - run;
    traces::completed_child("init", span, run_began - init, init);
    if !run.is_zero() {
        traces::completed_child("run", span, run_began, run);
    }
}

/// Claims the execution, and waits until the database is reachable. The error is the settlement of a message that
/// starts no run.
async fn claim(runner: &Runner, execution_id: Uuid) -> Result<Box<DurableClaim>, Settlement> {
    let mut backoff = Backoff::CONNECTION;
    loop {
        if runner.stopping.is_cancelled() {
            return Err(Settlement::Requeue);
        }
        match runner.claims.claim(execution_id).await {
            Ok(ClaimResult::Claimed(claim)) => return Ok(claim),
            Ok(ClaimResult::Unavailable(status)) => {
                tracing::debug!(status, "the execution of a message is not queued");
                return Err(Settlement::Ack);
            }
            Ok(ClaimResult::NotFound) => {
                tracing::warn!("the execution of a message does not exist");
                return Err(Settlement::Ack);
            }
            Err(error) => {
                tracing::warn!(%error, "an execution can't be claimed yet");
                backoff.wait().await;
            }
        }
    }
}

/// Runs the script, and stores its log lines meanwhile.
async fn run(
    runner: &Runner,
    slot: Slot,
    prepared: Prepared,
    claimed: &Claimed,
    guard: &AttemptGuard<'_>,
) -> FinishedRun {
    EXECUTION_QUEUE.with([claimed.trigger_type.as_str()]).record(claimed.queue_ms / 1000.0);
    // Holds all lines that a run may write, a truncated one and the line that reports the truncation, so that an
    // unreachable database delays no script.
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
    FinishedRun { outcome, lines: rest.unstored, last_log_seq: rest.last_seq, ended_at }
}

/// Prepares the run. Waits until the database is reachable, or the attempt is interrupted.
async fn prepare(
    runner: &Runner,
    claimed: &Claimed,
    guard: &AttemptGuard<'_>,
) -> Result<Prepared, FinishedRun> {
    let mut backoff = Backoff::CONNECTION;
    while guard.interruption().is_none() {
        match runner.preparation.prepare(claimed).await {
            Ok(prepared) => return Ok(prepared),
            Err(PrepareError::Database(error)) => {
                tracing::warn!(%error, "a run can't be prepared yet");
                backoff.wait().await;
            }
            Err(PrepareError::Corrupt(corrupt)) => {
                tracing::error!(error = %corrupt, "a run can't be prepared");
                return Err(FinishedRun::corrupt(&corrupt.to_string()));
            }
        }
    }
    Err(FinishedRun::not_started(ErrorCode::Cancelled, "cancelled"))
}
