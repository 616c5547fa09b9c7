//! Processing of one message: claim, execute, persist, settle.

mod attempt;
pub(crate) mod builds;
mod busy_time;
pub(crate) mod in_flight;
pub(crate) mod input;
mod log_writer;
pub(crate) mod plane_token;
mod prepare;
mod runner;
pub(crate) mod settle;

pub use busy_time::BusyTime;
pub(crate) use prepare::Preparation;
pub(crate) use runner::Runner;

use crate::lease::{Attempt, AttemptEnd, Claimed, FencedWrite, Phases};
use in_flight::AttemptGuard;
use settle::{Decision, Facts, Interruption, Settlement};
use shared::{
    backoff::Backoff,
    execution::ErrorCode,
    message::{self, ExecutionMessage},
    outcome::{ExecutionError, LogLine, Outcome, Usage, Verdict},
    telemetry::metrics::{
        DEAD_LETTERS, EXECUTION_CPU, EXECUTION_INIT, EXECUTION_MEMORY_PEAK, EXECUTION_PERSIST, EXECUTION_RUN,
        EXECUTIONS, LEASES_LOST,
    },
};
use std::{borrow::Cow, time::Instant};
use tracing::Instrument as _;
use uuid::Uuid;

/// A run that has ended, or an attempt that ended before its run.
struct FinishedRun {
    outcome: Outcome,
    /// Log lines that are not stored yet.
    lines: Vec<LogLine>,
    /// Number of the last log line, stored or not.
    last_log_seq: i32,
    ended_at: Instant,
}

/// Processes one message: claim, run, persist. Returns how to settle it, only after the outcome is committed.
pub(crate) async fn process(runner: &Runner, body: &[u8], traceparent: Option<String>) -> Settlement {
    let execution_id = match decode(body) {
        Ok(execution_id) => execution_id,
        Err(error) => {
            tracing::error!(reason = error.kind, "rejected a message that can't be decoded");
            DEAD_LETTERS.with([error.kind]).increment(1);
            return Settlement::Reject(error.reason);
        }
    };
    // The claim fills in workspace and script.
    let span = tracing::info_span!(
        "execution",
        execution.id = %execution_id,
        workspace.id = tracing::field::Empty,
        script.id = tracing::field::Empty
    );
    process_execution(runner, execution_id, traceparent).instrument(span).await
}

async fn process_execution(runner: &Runner, execution_id: Uuid, traceparent: Option<String>) -> Settlement {
    let mut backoff = Backoff::CONNECTION;
    loop {
        let Some(slot) = runner.stopping.run_until_cancelled(runner.pool.acquire()).await else {
            return Settlement::Requeue;
        };
        match attempt::attempt(runner, slot, execution_id, traceparent.clone()).await {
            Ok(settlement) => return settlement,
            Err(error) => {
                tracing::warn!(%error, "a claim may not be stored: the execution is claimed again");
                backoff.wait().await;
            }
        }
    }
}

/// Reason why a worker of this version can't read a message.
struct DecodeError {
    /// Label of the metric.
    kind: &'static str,
    /// Reason in words. It may quote the message, so it goes with the dead letter and not into the log.
    reason: String,
}

fn decode(body: &[u8]) -> Result<Uuid, DecodeError> {
    match serde_json::from_slice(body) {
        Ok(ExecutionMessage { v: message::VERSION, execution_id }) => Ok(execution_id),
        Ok(ExecutionMessage { v, .. }) => Err(DecodeError {
            kind: "version",
            reason: format!("v: {v}, this worker reads {}", message::VERSION),
        }),
        Err(error) => {
            Err(DecodeError { kind: "malformed", reason: format!("not an execution message: {error}") })
        }
    }
}

/// Decides how the attempt ends, writes it, then logs and counts it.
async fn persist(runner: &Runner, claimed: &Claimed, guard: &AttemptGuard<'_>, run: &FinishedRun) {
    let facts = Facts {
        interruption: guard.interruption(),
        retries_left: claimed.retries_left,
        retries_spent: claimed.retries_spent,
        retry_backoff: claimed.retry_backoff,
    };
    let decision = settle::decide(&run.outcome.verdict, facts);
    let stored = store(runner, guard, decision, run).await;
    record(stored, claimed.attempt, run);
}

/// End of an attempt that the database has.
struct Stored<'a> {
    decision: Decision,
    verdict: Cow<'a, Verdict>,
}

/// Logs and counts the outcome. If the write was fenced off (`stored` is `None`), only the lost lease is counted:
/// another worker reports the outcome.
fn record(stored: Option<Stored<'_>>, attempt: Attempt, run: &FinishedRun) {
    let Some(Stored { decision, verdict }) = stored else {
        return LEASES_LOST.with::<&str>([]).increment(1);
    };
    let FinishedRun { outcome: Outcome { usage, .. }, ended_at, .. } = run;
    let code = match &*verdict {
        Verdict::Completed(_) => "none",
        Verdict::Failed(error) => error.code.as_str(),
    };
    let (attempt, run_ms) = (attempt.number, usage.run.as_secs_f64() * 1000.0);
    match decision {
        Decision::Finish | Decision::Cancel => {
            tracing::info!(attempt, status = %verdict.status(), code, run_ms, "ended");
        }
        Decision::Retry { after } => {
            return tracing::info!(attempt, code, after_s = after.as_secs(), "queued for a retry");
        }
        Decision::Release => return tracing::info!(attempt, "released to the queue"),
        Decision::Discard => return,
    }
    EXECUTIONS.with([verdict.status().as_str(), code]).increment(1);
    EXECUTION_INIT.with::<&str>([]).record(usage.init);
    EXECUTION_RUN.with::<&str>([]).record(usage.run);
    EXECUTION_CPU.with::<&str>([]).record(usage.cpu);
    EXECUTION_PERSIST.with::<&str>([]).record(ended_at.elapsed());
    let peak = u32::try_from(usage.memory_peak_bytes).unwrap_or(u32::MAX);
    EXECUTION_MEMORY_PEAK.with::<&str>([]).record(f64::from(peak));
}

/// Writes the end of the attempt, and tries again until it is stored or the lease is lost. Returns what was stored, or
/// `None` if nothing was.
async fn store<'a>(
    runner: &Runner,
    guard: &AttemptGuard<'_>,
    mut decision: Decision,
    run: &'a FinishedRun,
) -> Option<Stored<'a>> {
    let attempt = guard.attempt();
    let mut verdict = match decision {
        Decision::Cancel => Cow::Owned(cancelled()),
        _ => Cow::Borrowed(&run.outcome.verdict),
    };
    let mut lines = run.lines.clone();
    if let (Decision::Retry { after }, Verdict::Failed(error)) = (decision, &*verdict) {
        lines.push(log_writer::retry_line(run.last_log_seq + 1, error, after));
    }
    let mut was_rejected = false;
    let mut backoff = Backoff::CONNECTION;
    loop {
        let phases = Phases { usage: run.outcome.usage, ended_at: run.ended_at };
        let end = match decision {
            Decision::Finish | Decision::Cancel => AttemptEnd::Final { verdict: &verdict, phases },
            Decision::Retry { after } => AttemptEnd::Retry { after },
            Decision::Release => AttemptEnd::Release,
            Decision::Discard => return None,
        };
        match runner.claims.end(attempt, &end, &lines).await {
            Ok(FencedWrite::Applied) => return Some(Stored { decision, verdict }),
            // A retry is not written once a cancel was requested. If that is not the reason, the cancelled end is not
            // written either.
            Ok(FencedWrite::LeaseLost) if matches!(decision, Decision::Retry { .. }) => {
                decision = Decision::Cancel;
                verdict = Cow::Owned(cancelled());
                lines.clone_from(&run.lines);
            }
            Ok(FencedWrite::LeaseLost) => {
                tracing::warn!(attempt = attempt.number, "lease lost: the end of the run was not stored");
                return None;
            }
            Err(error) if error.is_temporary() => {
                tracing::warn!(%error, "the end of a run could not be stored yet");
                if guard.interruption() == Some(Interruption::Fenced) {
                    return None;
                }
                backoff.wait().await;
            }
            Err(error) => {
                tracing::error!(%error, "the database rejected the end of a run");
                if was_rejected {
                    return None;
                }
                was_rejected = true;
                verdict = Cow::Owned(unstorable());
                lines.clear();
            }
        }
    }
}

/// Returns the verdict that is stored when the database rejects the outcome itself.
fn unstorable() -> Verdict {
    failed(ErrorCode::InvalidResult, "the result or the log lines hold text that the database can't store")
}

/// Returns the verdict of an attempt whose retry was cancelled.
fn cancelled() -> Verdict {
    failed(ErrorCode::Cancelled, "cancelled")
}

fn failed(code: ErrorCode, message: &str) -> Verdict {
    Verdict::Failed(ExecutionError {
        code,
        message: message.to_owned(),
        stack: None,
        line: None,
        column: None,
    })
}

impl FinishedRun {
    /// Returns the end of an attempt whose stored data can't be used.
    fn corrupt(message: &str) -> Self {
        Self::not_started(ErrorCode::BuildFailed, message)
    }

    /// Returns the end of an attempt whose run did not start.
    fn not_started(code: ErrorCode, message: &str) -> Self {
        let outcome = Outcome { verdict: failed(code, message), usage: Usage::default() };
        Self { outcome, lines: Vec::new(), last_log_seq: 0, ended_at: Instant::now() }
    }
}
