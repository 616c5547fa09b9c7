//! Runs in the real sandbox: a pool starts the binary of this package as its processes.

mod cost;
mod detection;
mod endurance;
mod escape;
mod hostile;
mod orphans;
mod outcomes;
mod pool;
mod processes;
mod rogue;

use builder::{Unit, build};
use sandbox_protocol::Job;
use serde_json::{Value, value::RawValue};
use shared::{
    execution::{CodeType, ErrorCode},
    limits::Limits,
    outcome::{ExecutionError, LogLine, Outcome, Verdict},
};
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{sync::mpsc, time::sleep};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use worker::testing::supervisor::{
    Pool, PoolConfig, RunContext, Slot,
    egress::Exceptions,
    fetch::{FetchConfig, Fetcher},
};

pub(crate) const MIB: usize = 1024 * 1024;

/// Starts a pool of this package's binary.
pub(crate) async fn pool(slots: usize) -> Arc<Pool> {
    Pool::start(config(slots)).await.expect("the pool starts")
}

pub(crate) fn config(slots: usize) -> PoolConfig {
    let api_base = "http://plane.example".parse().expect("is a URL");
    let fetcher =
        Fetcher::new(FetchConfig::new(api_base, Exceptions::default())).expect("a client can be made");
    PoolConfig {
        program: env!("CARGO_BIN_EXE_worker").into(),
        ..PoolConfig::new(slots, 128 * MIB, Arc::new(fetcher))
    }
}

/// Returns limits whose timeouts even a busy machine does not reach.
pub(crate) fn patient_limits() -> Limits {
    Limits {
        execution_timeout: Duration::from_mins(2),
        init_timeout: Duration::from_mins(1),
        ..Limits::default()
    }
}

/// Returns limits that end a hanging script soon.
pub(crate) fn short_limits() -> Limits {
    let short = Duration::from_millis(1_500);
    Limits { execution_timeout: short, init_timeout: short, ..Limits::default() }
}

/// Returns a job from an author's text, built as the api builds it.
pub(crate) fn job(code: &str) -> Job {
    job_of(CodeType::MainFn, code)
}

pub(crate) fn job_of(code_type: CodeType, code: &str) -> Job {
    let report = build(Unit::Script(code_type), code);
    let build = report.build.unwrap_or_else(|| panic!("the script builds: {:?}", report.diagnostics));
    Job {
        execution_id: Uuid::now_v7(),
        build: build.code,
        functions: BTreeMap::new(),
        input: raw(r#"{"event":{},"context":{}}"#),
        variables: raw("{}"),
        env: BTreeMap::new(),
        workspace_slug: "demo".to_owned(),
        api_base_url: "http://plane.example".to_owned(),
        limits: patient_limits(),
    }
}

pub(crate) fn raw(json: &str) -> Box<RawValue> {
    RawValue::from_string(json.to_owned()).expect("is JSON")
}

/// Outcome and console lines of a run.
pub(crate) struct Finished {
    pub(crate) outcome: Outcome,
    pub(crate) logs: Vec<LogLine>,
    /// Time from the job's start to its outcome, by the test's clock.
    pub(crate) took: Duration,
}

impl Finished {
    /// Returns the result of a run that must have completed.
    #[track_caller]
    pub(crate) fn result(&self) -> Value {
        match &self.outcome.verdict {
            Verdict::Completed(json) => serde_json::from_str(json.get()).expect("the result is JSON"),
            Verdict::Failed(error) => panic!("the run failed: {error:?}"),
        }
    }

    /// Returns the error of a run that must have failed.
    #[track_caller]
    pub(crate) fn error(&self) -> &ExecutionError {
        match &self.outcome.verdict {
            Verdict::Failed(error) => error,
            Verdict::Completed(json) => panic!("the run completed with {json}"),
        }
    }

    #[track_caller]
    pub(crate) fn error_code(&self) -> ErrorCode {
        self.error().code
    }

    pub(crate) fn messages(&self) -> Vec<&str> {
        self.logs.iter().map(|line| line.message.as_str()).collect()
    }
}

/// Runs a job in the next free slot.
pub(crate) async fn run(pool: &Arc<Pool>, job: Job) -> Finished {
    run_cancellable(pool, job, CancellationToken::new()).await
}

pub(crate) async fn run_cancellable(pool: &Arc<Pool>, job: Job, cancel: CancellationToken) -> Finished {
    run_with(pool, job, |logs| RunContext { cancel, ..bare_context(logs) }).await
}

/// Returns a context without domains or a token.
pub(crate) fn bare_context(logs: mpsc::Sender<LogLine>) -> RunContext {
    RunContext {
        allowed_domains: Vec::new(),
        plane_token: None,
        cancel: CancellationToken::new(),
        logs,
        first_log_seq: 1,
    }
}

/// Runs a job in the next free slot, with the context that `context` makes for the sender of its lines.
pub(crate) async fn run_with(
    pool: &Arc<Pool>,
    job: Job,
    context: impl FnOnce(mpsc::Sender<LogLine>) -> RunContext,
) -> Finished {
    run_in_slot_with(pool.acquire().await, job, context).await
}

/// Polls until the condition holds, for at most ten seconds.
pub(crate) async fn eventually(expected: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(Instant::now() < deadline, "expected in vain: {expected}");
        sleep(Duration::from_millis(1)).await;
    }
}

/// Runs a job in this slot.
pub(crate) async fn run_in_slot(slot: Slot, job: Job) -> Finished {
    run_in_slot_with(slot, job, bare_context).await
}

async fn run_in_slot_with(
    slot: Slot,
    job: Job,
    context: impl FnOnce(mpsc::Sender<LogLine>) -> RunContext,
) -> Finished {
    let (sender, mut lines) = mpsc::channel(16);
    let collect = async {
        let mut logs = Vec::new();
        while let Some(line) = lines.recv().await {
            logs.push(line);
        }
        logs
    };
    let began = Instant::now();
    let run = async { (slot.run(job, context(sender)).await, began.elapsed()) };
    let ((outcome, took), logs) = tokio::join!(run, collect);
    Finished { outcome, logs, took }
}

/// Runs a script in a pool of its own.
pub(crate) async fn run_alone(code: &str) -> Finished {
    run(&pool(1).await, job(code)).await
}
