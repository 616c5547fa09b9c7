//! `/execute-sync`: one run, asked for and answered in one request.
//!
//! Invariant: nothing is written anywhere; the answer is all there is. A run whose client goes away is cancelled.

use super::{
    ServerState,
    build::{code, timed_build},
    error::HttpError,
    functions::{FunctionBuilds, Functions},
    signed::Signed,
};
use crate::{
    execution::input::{Identity, compose},
    supervisor::{RunContext, Slot},
};
use axum::{Json, extract::State};
use builder::Unit;
use packages::Prepared;
use sandbox_protocol::Job;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use shared::{
    allowed_domains::AllowedDomain,
    execution::{CodeType, Status, TriggerType},
    http::fields::{FieldErrors, Fields, ReadFields},
    limits::{INPUT_BYTES, RUN_SECRET_BYTES},
    outcome::{ExecutionError, LogLine, Outcome, Verdict, milliseconds},
};
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// How long a request waits for a free slot before it is sent away.
const SLOT_WAIT: Duration = Duration::from_secs(10);
/// Lines between the run and this request; a run that outpaces it waits.
const LOG_BUFFER: usize = 64;
/// Largest build: a script's code and its source map.
const BUILD_BYTES: usize = 2 * 1024 * 1024;

/// What is to be run.
#[derive(Debug)]
pub(super) struct ExecuteSync {
    script: Script,
    input: Input,
    variables: Box<RawValue>,
    env: BTreeMap<String, String>,
    functions: Functions,
    allowed_domains: Vec<String>,
    /// Must be the workspace that signed, if it is named at all.
    workspace_slug: Option<String>,
}

#[derive(Debug)]
enum Script {
    Code(String, CodeType),
    /// The `build` of an earlier answer of `/build`.
    Build(String),
}

/// The first argument of `main`, before our own fields join its context.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    event: Option<Box<RawValue>>,
    context: Option<Box<RawValue>>,
}

impl ReadFields for ExecuteSync {
    fn read(fields: &mut Fields) -> Option<Self> {
        let code_type = fields.optional("code_type").unwrap_or(CodeType::MainFn);
        let script = script(fields, code_type);
        let input = input(fields);
        let variables = fields.object("variables").unwrap_or_else(empty_object);
        let env = env(fields);
        let functions: Functions = fields.nullable("functions").unwrap_or_default();
        functions.check(&mut fields.errors);
        let allowed_domains: Vec<String> = fields.nullable("allowed_domains").unwrap_or_default();
        for entry in &allowed_domains {
            if let Err(error) = entry.parse::<AllowedDomain>() {
                fields.errors.add("allowed_domains", format!("{error}."));
            }
        }
        let workspace_slug = fields.nullable("workspace_slug");
        Some(Self { script: script?, input, variables, env, functions, allowed_domains, workspace_slug })
    }
}

fn script(fields: &mut Fields, code_type: CodeType) -> Option<Script> {
    let build: Option<String> = fields.nullable("build");
    let Some(build) = build else { return code(fields, "code").map(|code| Script::Code(code, code_type)) };
    if fields.nullable::<String>("code").is_some() {
        fields.errors.add("code", "Give either code or build, not both.");
    }
    if build.len() > BUILD_BYTES {
        fields.errors.add("build", format!("Must have at most {BUILD_BYTES} bytes; it has {}.", build.len()));
    }
    Some(Script::Build(build))
}

fn input(fields: &mut Fields) -> Input {
    let Some(text) = fields.object("input") else { return Input::default() };
    if text.get().len() > INPUT_BYTES {
        let bytes = text.get().len();
        fields.errors.add("input", format!("Must have at most {INPUT_BYTES} bytes as JSON; it has {bytes}."));
        return Input::default();
    }
    let input: Result<Input, _> = serde_json::from_str(text.get());
    match input {
        Ok(input) if [&input.event, &input.context].into_iter().flatten().all(|part| is_object(part)) => {
            input
        }
        Ok(_) => {
            fields.errors.add("input", "event and context must be JSON objects.");
            Input::default()
        }
        Err(_) => {
            fields.errors.add("input", "Takes event and context, nothing else.");
            Input::default()
        }
    }
}

fn env(fields: &mut Fields) -> BTreeMap<String, String> {
    let env: BTreeMap<String, String> = fields.nullable("env").unwrap_or_default();
    let bytes: usize = env.values().map(String::len).sum();
    if bytes > RUN_SECRET_BYTES {
        let rule = format!("All values together may have {RUN_SECRET_BYTES} bytes; they have {bytes}.");
        fields.errors.add("env", rule);
    }
    env
}

fn is_object(json: &RawValue) -> bool {
    json.get().starts_with('{')
}

fn empty_object() -> Box<RawValue> {
    RawValue::from_string("{}".to_owned()).expect("an empty object is JSON")
}

/// The execution, as the api would answer it.
#[derive(Debug, Serialize)]
pub(super) struct Executed {
    execution_id: Uuid,
    status: Status,
    result: Option<Box<RawValue>>,
    error: Option<ExecutionError>,
    logs: Vec<LogLine>,
    /// `init_ms` and `run_ms` together, rounded.
    duration_ms: u64,
    phases: Phases,
    cpu_ms: f64,
    memory_peak_bytes: u64,
    /// Functions that were loaded, sorted.
    function_names: Vec<String>,
}

/// Where the time went, in milliseconds.
#[derive(Debug, Serialize)]
#[expect(clippy::struct_field_names, reason = "the names of the contract")]
struct Phases {
    /// Waiting for a free slot.
    queue_ms: f64,
    init_ms: f64,
    run_ms: f64,
    /// Nothing is written, so always null.
    persist_ms: Option<f64>,
}

pub(super) async fn execute_sync(
    State(state): State<Arc<ServerState>>,
    Signed { workspace_slug, body }: Signed<ExecuteSync>,
) -> Result<Json<Executed>, HttpError> {
    if body.workspace_slug.as_ref().is_some_and(|named| *named != workspace_slug) {
        let message = "Must be the workspace the request is signed for.";
        return Err(FieldErrors::one("workspace_slug", message).into());
    }
    let ExecuteSync { script, input, variables, env, functions, allowed_domains, .. } = body;
    let packages = match &script {
        Script::Code(code, _) => Prepared::of(state.packages.as_ref(), code).await,
        Script::Build(_) => Ok(Prepared::default()),
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

    let asked = Instant::now();
    let (slot, plane_token) = tokio::join!(
        tokio::time::timeout(SLOT_WAIT, state.pool.acquire()),
        state.plane_tokens.get(&workspace_slug)
    );
    let slot = slot.map_err(|_| {
        HttpError::unavailable(
            "no_free_slot",
            format!("No slot became free within {} s.", SLOT_WAIT.as_secs()),
        )
    })?;
    let queued = asked.elapsed();
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

/// Builds what is code, and every function it needs. Blocking.
fn build(
    script: Script,
    functions: &Functions,
    packages: &Prepared,
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
    // Dropped with the request when the client goes away.
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
            phases: Phases {
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

/// Rounds what is then cut to whole milliseconds.
const HALF_MILLISECOND: Duration = Duration::from_micros(500);

#[cfg(test)]
mod tests {
    use super::*;
    use shared::http::fields;

    fn problems(json: &str) -> String {
        fields::parse::<ExecuteSync>(json.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn code_or_a_build_is_needed_and_not_both() {
        assert_eq!(problems("{}"), "code: This field is required.");
        assert_eq!(problems(r#"{"code": "a", "build": "b"}"#), "code: Give either code or build, not both.");
        assert!(fields::parse::<ExecuteSync>(br#"{"build": "b"}"#).is_ok());
    }

    #[test]
    fn everything_wrong_is_named_by_field() {
        let body = r#"{"code": "x", "code_type": "py", "input": [], "env": {"A": 1}, "allowed_domains": ["https://x"], "later": 1}"#;
        let problems = problems(body);
        for field in ["code_type: ", "input: ", "env: At A: ", "allowed_domains: ", "later: Unknown field."] {
            assert!(problems.contains(field), "{field} in {problems}");
        }
    }

    #[test]
    fn secrets_over_the_limit_are_refused() {
        let body = |bytes| format!(r#"{{"code": "x", "env": {{"A": "1", "B": "{}"}}}}"#, "x".repeat(bytes));
        assert!(fields::parse::<ExecuteSync>(body(RUN_SECRET_BYTES - 1).as_bytes()).is_ok());
        assert_eq!(
            problems(&body(RUN_SECRET_BYTES)),
            "env: All values together may have 196608 bytes; they have 196609."
        );
    }

    #[test]
    fn an_input_over_the_limit_is_refused() {
        let input = "x".repeat(INPUT_BYTES);
        let body = format!(r#"{{"code": "x", "input": {{"event": {{"text": "{input}"}}}}}}"#);
        assert!(problems(&body).starts_with("input: Must have at most 262144 bytes as JSON"));
    }
}
