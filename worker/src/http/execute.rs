//! `/execute-sync`: runs a script and responds with the outcome.
//!
//! Invariant: nothing is stored, so the response is the only record of the run. A run whose client disconnects is cancelled.

use super::{
    ServerState,
    build::timed_build,
    error::HttpError,
    execute_request::{ExecuteRequest, Script, empty_object},
    functions::{FunctionBuilds, Functions},
    signed::Signed,
};
use crate::{
    execution::input::{Identity, compose},
    supervisor::{RunContext, Slot},
};
use axum::{Json, extract::State};
use builder::Unit;
use packages::ResolvedPackages;
use sandbox_protocol::Job;
use serde::Serialize;
use serde_json::value::RawValue;
use shared::{
    execution::{Status, TriggerType},
    http::fields::FieldErrors,
    outcome::{ExecutionError, LogLine, Outcome, Verdict, milliseconds},
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Limits, in seconds, how long a request waits for a free slot before it is refused.
const SLOT_TIMEOUT: Duration = Duration::from_secs(10);
/// Limits the console lines between the run and this request. A run that is faster waits.
const LOG_BUFFER: usize = 64;

/// Execution in the form of the api's responses.
#[derive(Debug, Serialize)]
pub(super) struct Executed {
    execution_id: Uuid,
    status: Status,
    result: Option<Box<RawValue>>,
    error: Option<ExecutionError>,
    logs: Vec<LogLine>,
    /// Sum of `init_ms` and `run_ms`, rounded.
    duration_ms: u64,
    phases: PhaseDurations,
    cpu_ms: f64,
    memory_peak_bytes: u64,
    /// Names of the functions that were loaded, sorted.
    function_names: Vec<String>,
}

/// Durations of the phases, in milliseconds.
#[derive(Debug, Serialize)]
#[expect(clippy::struct_field_names, reason = "the names of the contract")]
struct PhaseDurations {
    /// Wait for a free slot.
    queue_ms: f64,
    init_ms: f64,
    run_ms: f64,
    /// Always null, since nothing is stored.
    persist_ms: Option<f64>,
}

pub(super) async fn execute_sync(
    State(state): State<Arc<ServerState>>,
    Signed { workspace_slug, body }: Signed<ExecuteRequest>,
) -> Result<Json<Executed>, HttpError> {
    if body.workspace_slug.as_ref().is_some_and(|named| *named != workspace_slug) {
        let message = "Must be the workspace the request is signed for.";
        return Err(FieldErrors::one("workspace_slug", message).into());
    }
    let ExecuteRequest { script, input, variables, env, functions, allowed_domains, .. } = body;
    let packages = match &script {
        Script::Code(code, _) => ResolvedPackages::resolve(state.packages.as_ref(), code).await,
        Script::Build(_) => Ok(ResolvedPackages::default()),
    };
    let packages = packages.map_err(HttpError::internal)?;
    let build = move || build(script, &functions, &packages);
    let (build, functions) = tokio::task::spawn_blocking(build).await.map_err(HttpError::internal)??;
    let function_names = functions.keys().cloned().collect();
    let execution_id = Uuid::now_v7();
    let input = compose(
        &input.event.unwrap_or_else(empty_object),
        &input.context.unwrap_or_else(empty_object),
        &variables,
        &Identity { execution_id, script_id: None, attempt: 1, trigger_type: TriggerType::Test },
    )
    .map_err(HttpError::internal)?;

    let queued_at = Instant::now();
    let (slot, plane_token) = tokio::join!(
        tokio::time::timeout(SLOT_TIMEOUT, state.pool.acquire()),
        state.plane_tokens.get(&workspace_slug)
    );
    let slot = slot.map_err(|_| {
        HttpError::unavailable(
            "no_free_slot",
            format!("No slot became free within {} s.", SLOT_TIMEOUT.as_secs()),
        )
    })?;
    let _busy = state.busy_time.begin();
    let queued = queued_at.elapsed();
    let job = Job {
        execution_id,
        build,
        functions,
        input,
        variables,
        env,
        workspace_slug,
        api_base_url: state.api_base_url.clone(),
        limits: state.limits,
    };
    let (outcome, logs) = run(slot, job, allowed_domains, plane_token).await;
    Ok(Json(Executed::of(execution_id, queued, outcome, logs, function_names)))
}

/// Builds the script's code, if it is not built, and every function that it needs. Blocking.
fn build(
    script: Script,
    functions: &Functions,
    packages: &ResolvedPackages,
) -> Result<(String, FunctionBuilds), HttpError> {
    match script {
        Script::Code(code, code_type) => {
            let report = timed_build(Unit::Script(code_type), &code, packages);
            let Some(build) = report.build else {
                return Err(HttpError::Code { field: "code".into(), diagnostics: report.diagnostics });
            };
            Ok((build.code, functions.build(build.function_names)?))
        }
        Script::Build(build) => Ok((build, functions.build(functions.names())?)),
    }
}

async fn run(
    slot: Slot,
    job: Job,
    allowed_domains: Vec<String>,
    plane_token: Option<String>,
) -> (Outcome, Vec<LogLine>) {
    let cancel = CancellationToken::new();
    // Dropped with the request's future when the client disconnects.
    let _cancel_on_drop = cancel.clone().drop_guard();
    let (sender, mut receiver) = mpsc::channel(LOG_BUFFER);
    let context = RunContext { allowed_domains, plane_token, cancel, logs: sender, first_log_seq: 1 };
    let collect = async {
        let mut lines = Vec::new();
        while let Some(line) = receiver.recv().await {
            lines.push(line);
        }
        lines
    };
    tokio::join!(slot.run(job, context), collect)
}

impl Executed {
    fn of(
        execution_id: Uuid,
        queued: Duration,
        Outcome { verdict, usage }: Outcome,
        logs: Vec<LogLine>,
        function_names: Vec<String>,
    ) -> Self {
        let status = verdict.status();
        let (result, error) = match verdict {
            Verdict::Completed(result) => (Some(result), None),
            Verdict::Failed(error) => (None, Some(error)),
        };
        Self {
            execution_id,
            status,
            result,
            error,
            logs,
            duration_ms: (usage.init + usage.run + HALF_MILLISECOND)
                .as_millis()
                .try_into()
                .unwrap_or(u64::MAX),
            phases: PhaseDurations {
                queue_ms: milliseconds(queued),
                init_ms: milliseconds(usage.init),
                run_ms: milliseconds(usage.run),
                persist_ms: None,
            },
            cpu_ms: milliseconds(usage.cpu),
            memory_peak_bytes: usage.memory_peak_bytes,
            function_names,
        }
    }
}

/// Added before a duration is truncated to whole milliseconds, which rounds it.
const HALF_MILLISECOND: Duration = Duration::from_micros(500);
