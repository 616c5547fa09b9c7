//! One message's way: claim, execute, persist, settle.

pub mod builds;
pub mod in_flight;
pub mod input;
mod log_writer;
pub mod plane_token;
mod prepare;
pub mod settle;

pub use prepare::{Broken, Preparation, Prepared, Unprepared};

use crate::{
    consumer::{Fleet, Guard},
    db::DatabaseError,
    lease::{Attempt, Claim, Claimed, End, Fenced, Phases, Unreadable},
    supervisor::{RunContext, Slot},
};
use settle::{Decision, Facts, Interruption, Settlement};
use shared::{
    backoff::Backoff,
    execution::ErrorCode,
    message::{self, ExecutionMessage},
    outcome::{ExecutionError, LogLine, Outcome, Usage, Verdict},
    telemetry::{
        metrics::{
            DEAD_LETTERS, EXECUTION_CPU, EXECUTION_INIT, EXECUTION_MEMORY_PEAK, EXECUTION_PERSIST,
            EXECUTION_QUEUE, EXECUTION_RUN, EXECUTIONS, LEASES_LOST,
        },
        traces::{self, Step},
    },
};
use std::{
    borrow::Cow,
    time::{Instant, SystemTime},
};
use tokio::sync::{mpsc, watch};
use tracing::Instrument as _;
use uuid::Uuid;

/// A run that is over.
struct Ended {
    outcome: Outcome,
    /// Lines not stored yet.
    lines: Vec<LogLine>,
    last_log_seq: i32,
    at: Instant,
}

/// Sees one message through. It is decided what becomes of it only when the database has what came of the run.
pub async fn process(fleet: &Fleet, body: &[u8], traceparent: Option<String>) -> Settlement {
    let execution_id = match decode(body) {
        Ok(execution_id) => execution_id,
        Err(unreadable) => {
            tracing::error!(reason = unreadable.kind, "a message that can't be read");
            DEAD_LETTERS.with([unreadable.kind]).increment(1);
            return Settlement::Reject(unreadable.reason);
        }
    };
    let span = tracing::info_span!("execution", execution.id = %execution_id);
    process_execution(fleet, execution_id, traceparent).instrument(span).await
}

async fn process_execution(fleet: &Fleet, execution_id: Uuid, traceparent: Option<String>) -> Settlement {
    let mut backoff = Backoff::CONNECTION;
    loop {
        let Some(slot) = fleet.stopping.run_until_cancelled(fleet.pool.acquire()).await else {
            return Settlement::Requeue;
        };
        match attempt(fleet, slot, execution_id, traceparent.clone()).await {
            Ok(settlement) => return settlement,
            Err(error) => {
                tracing::warn!(%error, "a claim that may not hold");
                backoff.wait().await;
            }
        }
    }
}

/// Claims and runs. An error says that it is not known whether the claim holds; what ran of it reached nobody.
async fn attempt(
    fleet: &Fleet,
    slot: Slot,
    execution_id: Uuid,
    traceparent: Option<String>,
) -> Result<Settlement, DatabaseError> {
    let mut step = traces::process(traceparent);
    step.of_execution(execution_id);
    let claiming = traces::part("claim", &step);
    let Claim { row, durable } = match claim(fleet, execution_id).await {
        Ok(claim) => claim,
        Err(settlement) => return Ok(settlement),
    };
    drop(claiming);
    let claimed = match row {
        Ok(claimed) => claimed,
        Err((attempt, unreadable)) => {
            durable.await?;
            return Ok(give_up(fleet, attempt, &unreadable).await);
        }
    };
    step.note("attempt", || claimed.attempt.number.to_string());
    let guard = fleet.held.hold(claimed.attempt);
    // The run begins while the database waits for its disk; what it does reaches nobody before.
    let (act, may_act) = watch::channel(false);
    let confirm = async {
        let durable = durable.await;
        if durable.is_err() {
            guard.interrupt(Interruption::Fenced);
            return durable;
        }
        act.send_replace(true);
        // Whoever is not told looks by himself after a while.
        if let Err(error) = fleet.claims.announce(execution_id).await {
            tracing::debug!(%error, "nobody was told of the claim");
        }
        durable
    };
    let (ended, durable) = tokio::join!(execute(fleet, slot, &claimed, &guard, may_act), confirm);
    durable?;
    trace_phases(&step, &ended);
    let persisting = traces::part("persist", &step);
    persist(fleet, &claimed, &guard, &ended).await;
    drop(persisting);
    if let Verdict::Failed(error) = &ended.outcome.verdict {
        step.fail(error.code.as_str());
    }
    Ok(Settlement::Ack)
}

/// Ends an attempt whose row can't be read.
async fn give_up(fleet: &Fleet, attempt: Attempt, unreadable: &Unreadable) -> Settlement {
    tracing::error!(error = %unreadable, "a row that can't be read");
    let guard = fleet.held.hold(attempt);
    let ended = Ended::broken("the stored execution can't be read");
    let stored = store(fleet, attempt, &guard, Decision::Finish, &ended).await;
    record(Decision::Finish, stored.as_deref(), attempt, &ended);
    Settlement::Ack
}

/// A message that no worker of this version can read.
struct Undecodable {
    /// Metric label.
    kind: &'static str,
    /// For people; it may quote the message, so it goes with the letter and not into the log.
    reason: String,
}

fn decode(body: &[u8]) -> Result<Uuid, Undecodable> {
    match serde_json::from_slice(body) {
        Ok(ExecutionMessage { v: message::VERSION, execution_id }) => Ok(execution_id),
        Ok(ExecutionMessage { v, .. }) => Err(Undecodable {
            kind: "version",
            reason: format!("v: {v}, this worker reads {}", message::VERSION),
        }),
        Err(error) => {
            Err(Undecodable { kind: "malformed", reason: format!("not an execution message: {error}") })
        }
    }
}

/// The sandbox measured its two phases; they ended when the run did.
fn trace_phases(step: &Step, ended: &Ended) {
    let Usage { init, run, .. } = ended.outcome.usage;
    if init.is_zero() {
        return;
    }
    let run_began = SystemTime::now() - ended.at.elapsed() - run;
    traces::past_part("init", step, run_began - init, init);
    if !run.is_zero() {
        traces::past_part("run", step, run_began, run);
    }
}

/// Claims, waiting for the database as long as it takes. `Err` is what becomes of the message without a run.
async fn claim(fleet: &Fleet, execution_id: Uuid) -> Result<Claim, Settlement> {
    let mut backoff = Backoff::CONNECTION;
    loop {
        if fleet.stopping.is_cancelled() {
            return Err(Settlement::Requeue);
        }
        match fleet.claims.claim(execution_id).await {
            Ok(Some(claim)) => return Ok(claim),
            Ok(None) => {
                tracing::debug!("not waiting for a worker");
                return Err(Settlement::Ack);
            }
            Err(error) => {
                tracing::warn!(%error, "can't claim");
                backoff.wait().await;
            }
        }
    }
}

async fn execute(
    fleet: &Fleet,
    slot: Slot,
    claimed: &Claimed,
    guard: &Guard<'_>,
    may_act: watch::Receiver<bool>,
) -> Ended {
    EXECUTION_QUEUE.with([claimed.trigger_type.as_str()]).record(claimed.queue_ms / 1000.0);
    let prepared = match prepare(fleet, claimed, guard).await {
        Ok(prepared) => prepared,
        Err(ended) => return ended,
    };
    // Room for every line the run may have, one that is cut and the note that says so: a database that is away
    // holds up no script.
    let (logs, lines) = mpsc::channel(prepared.job.limits.log_lines + 2);
    let context = RunContext {
        allowed_domains: prepared.allowed_domains,
        plane_token: prepared.plane_token,
        cancel: guard.cancel_token(),
        logs,
        first_log_seq: claimed.last_log_seq + 1,
        may_act,
    };
    let run = async { (slot.run(prepared.job, context).await, Instant::now()) };
    let store_lines = log_writer::forward(&fleet.claims, claimed.attempt, claimed.last_log_seq, lines);
    let ((outcome, at), rest) = tokio::join!(run, store_lines);
    Ended { outcome, lines: rest.unstored, last_log_seq: rest.last_seq, at }
}

/// Prepares, waiting for the database as long as the attempt is ours.
async fn prepare(fleet: &Fleet, claimed: &Claimed, guard: &Guard<'_>) -> Result<Prepared, Ended> {
    let mut backoff = Backoff::CONNECTION;
    while guard.interruption().is_none() {
        match fleet.preparation.prepare(claimed).await {
            Ok(prepared) => return Ok(prepared),
            Err(Unprepared::Database(error)) => {
                tracing::warn!(%error, "can't prepare");
                backoff.wait().await;
            }
            Err(Unprepared::Broken(broken)) => {
                tracing::error!(error = %broken, "can't be prepared");
                return Err(Ended::broken(&broken.to_string()));
            }
        }
    }
    Err(Ended::before_its_run(ErrorCode::Cancelled, "cancelled"))
}

async fn persist(fleet: &Fleet, claimed: &Claimed, guard: &Guard<'_>, ended: &Ended) {
    let facts = Facts {
        interruption: guard.interruption(),
        retries_left: claimed.retries_left,
        retries_spent: claimed.retries_spent,
        retry_backoff: claimed.retry_backoff,
    };
    let decision = settle::decide(&ended.outcome.verdict, facts);
    let stored = store(fleet, claimed.attempt, guard, decision, ended).await;
    record(decision, stored.as_deref(), claimed.attempt, ended);
}

/// Counts and tells what the database has; what it does not have of this worker, did not happen here.
fn record(decision: Decision, stored: Option<&Verdict>, attempt: Attempt, ended: &Ended) {
    let Some(verdict) = stored else { return LEASES_LOST.with::<&str>([]).increment(1) };
    let Ended { outcome: Outcome { usage, .. }, at, .. } = ended;
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
        Decision::HandBack => return tracing::info!(attempt, "handed back"),
        Decision::Forget => return,
    }
    EXECUTIONS.with([verdict.status().as_str(), code]).increment(1);
    EXECUTION_INIT.with::<&str>([]).record(usage.init);
    EXECUTION_RUN.with::<&str>([]).record(usage.run);
    EXECUTION_CPU.with::<&str>([]).record(usage.cpu);
    EXECUTION_PERSIST.with::<&str>([]).record(at.elapsed());
    let peak = u32::try_from(usage.memory_peak_bytes).unwrap_or(u32::MAX);
    EXECUTION_MEMORY_PEAK.with::<&str>([]).record(f64::from(peak));
}

/// Writes until it is written, or no longer ours to write. Returns the verdict that was written; None if none was.
async fn store<'a>(
    fleet: &Fleet,
    attempt: Attempt,
    guard: &Guard<'_>,
    decision: Decision,
    ended: &'a Ended,
) -> Option<Cow<'a, Verdict>> {
    let mut verdict = Cow::Borrowed(&ended.outcome.verdict);
    let mut lines = ended.lines.clone();
    if let (Decision::Retry { after }, Verdict::Failed(error)) = (decision, &*verdict) {
        lines.push(log_writer::retry_line(ended.last_log_seq + 1, error, after));
    }
    let mut backoff = Backoff::CONNECTION;
    loop {
        let phases = Phases { usage: ended.outcome.usage, ended: ended.at };
        let end = match decision {
            Decision::Finish => End::Final { verdict: &verdict, phases },
            Decision::Retry { after } => End::Retry { after },
            Decision::HandBack => End::HandBack,
            Decision::Forget => return None,
        };
        match fleet.claims.end(attempt, &end, &lines).await {
            Ok(Fenced::Written) => return Some(verdict),
            Ok(Fenced::TooLate) => {
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
        Self { outcome, lines: Vec::new(), last_log_seq: 0, at: Instant::now() }
    }
}
