//! One message's way: claim, execute, persist, settle.

mod attempt;
pub mod builds;
pub mod in_flight;
pub mod input;
mod log_writer;
pub mod plane_token;
mod prepare;
mod runner;
pub mod settle;

pub use prepare::{Corrupt, Preparation, PrepareError, Prepared};
pub use runner::Runner;

use crate::lease::{Attempt, Claimed, End, FencedWrite, Phases};
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

/// A run that is over.
struct Ended {
    outcome: Outcome,
    /// Lines not stored yet.
    lines: Vec<LogLine>,
    last_log_seq: i32,
    ended_at: Instant,
}

/// Processes one message: claim, run, persist. Returns how to settle it, only after the outcome is committed.
pub async fn process(runner: &Runner, body: &[u8], traceparent: Option<String>) -> Settlement {
    let execution_id = match decode(body) {
        Ok(execution_id) => execution_id,
        Err(unreadable) => {
            tracing::error!(reason = unreadable.kind, "a message that can't be read");
            DEAD_LETTERS.with([unreadable.kind]).increment(1);
            return Settlement::Reject(unreadable.reason);
        }
    };
    let span = tracing::info_span!("execution", execution.id = %execution_id);
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
                tracing::warn!(%error, "a claim that may not hold");
                backoff.wait().await;
            }
        }
    }
}

/// Reason why no worker of this version can read a message.
struct DecodeError {
    /// Metric label.
    kind: &'static str,
    /// For people; it may quote the message, so it goes with the letter and not into the log.
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

async fn persist(runner: &Runner, claimed: &Claimed, guard: &AttemptGuard<'_>, ended: &Ended) {
    let facts = Facts {
        interruption: guard.interruption(),
        retries_left: claimed.retries_left,
        retries_spent: claimed.retries_spent,
        retry_backoff: claimed.retry_backoff,
    };
    let decision = settle::decide(&ended.outcome.verdict, facts);
    let stored = store(runner, guard, decision, ended).await;
    record(decision, stored.as_deref(), claimed.attempt, ended);
}

/// Logs and counts the outcome. If the write was fenced off (`stored` is `None`), only the lost lease is counted: another
/// worker reports the outcome.
fn record(decision: Decision, stored: Option<&Verdict>, attempt: Attempt, ended: &Ended) {
    let Some(verdict) = stored else { return LEASES_LOST.with::<&str>([]).increment(1) };
    let Ended { outcome: Outcome { usage, .. }, ended_at, .. } = ended;
    let code = match verdict {
        Verdict::Completed(_) => "none",
        Verdict::Failed(error) => error.code.as_str(),
    };
    let (attempt, run_ms) = (attempt.number, usage.run.as_secs_f64() * 1000.0);
    match decision {
        Decision::Finish => tracing::info!(attempt, status = %verdict.status(), code, run_ms, "ended"),
        Decision::Retry { after } => {
            return tracing::info!(attempt, code, after_s = after.as_secs(), "to be tried again");
        }
        Decision::Release => {
            return tracing::info!(attempt, "the attempt was released, since the worker drains");
        }
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

/// Writes until it is written, or no longer ours to write. Returns the verdict that was written; None if none was.
async fn store<'a>(
    runner: &Runner,
    guard: &AttemptGuard<'_>,
    decision: Decision,
    ended: &'a Ended,
) -> Option<Cow<'a, Verdict>> {
    let attempt = guard.attempt();
    let mut verdict = Cow::Borrowed(&ended.outcome.verdict);
    let mut lines = ended.lines.clone();
    if let (Decision::Retry { after }, Verdict::Failed(error)) = (decision, &*verdict) {
        lines.push(log_writer::retry_line(ended.last_log_seq + 1, error, after));
    }
    let mut backoff = Backoff::CONNECTION;
    loop {
        let phases = Phases { usage: ended.outcome.usage, ended: ended.ended_at };
        let end = match decision {
            Decision::Finish => End::Final { verdict: &verdict, phases },
            Decision::Retry { after } => End::Retry { after },
            Decision::Release => End::Release,
            Decision::Discard => return None,
        };
        match runner.claims.end(attempt, &end, &lines).await {
            Ok(FencedWrite::Applied) => return Some(verdict),
            Ok(FencedWrite::LeaseLost) => {
                tracing::warn!(attempt = attempt.number, "too late to write");
                return None;
            }
            Err(error) if error.is_temporary() => {
                tracing::warn!(%error, "can't store the end of a run");
                if guard.interruption() == Some(Interruption::Fenced) {
                    return None;
                }
                backoff.wait().await;
            }
            Err(error) => {
                tracing::error!(%error, "the database refuses what a run ended with");
                if matches!(verdict, Cow::Owned(_)) {
                    return None;
                }
                verdict = Cow::Owned(unstorable());
                lines.clear();
            }
        }
    }
}

/// What is stored when the database refuses the outcome itself.
fn unstorable() -> Verdict {
    failed(ErrorCode::InvalidResult, "the result or the logs hold what the database can't store")
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

impl Ended {
    fn broken(message: &str) -> Self {
        Self::before_its_run(ErrorCode::BuildFailed, message)
    }

    fn before_its_run(code: ErrorCode, message: &str) -> Self {
        let outcome = Outcome { verdict: failed(code, message), usage: Usage::default() };
        Self { outcome, lines: Vec::new(), last_log_seq: 0, ended_at: Instant::now() }
    }
}
