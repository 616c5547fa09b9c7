//! Corpus of hostile scripts, each run beside an honest one. `tests/hostile/README.md` describes the headers.

use super::{Finished, MIB, config, job_of, patient_limits, run, short_limits};
use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};
use shared::{
    execution::{CodeType, ErrorCode, LogLevel},
    limits::Limits,
    outcome::Verdict,
};
use std::{fs, path::Path, sync::Arc, time::Duration};
use worker::testing::supervisor::{Pool, PoolConfig};

/// Number of scripts at once. Each needs two slots, since it runs beside an honest one.
const AT_ONCE: usize = 2;

struct Script {
    name: String,
    code: String,
    kind: CodeType,
    memory_bytes: usize,
    expected: Expected,
    logs: Vec<(LogLevel, String)>,
}

enum Expected {
    Completed(Value),
    /// Size of the result as JSON, in bytes.
    Length(usize),
    Errored(ErrorCode, String),
}

impl Script {
    fn read(path: &Path) -> Self {
        let code = fs::read_to_string(path).expect("is readable");
        let name = path.file_name().expect("has a name").to_string_lossy().into_owned();
        let mut script = Self {
            kind: CodeType::MainFn,
            memory_bytes: 128 * MIB,
            expected: Expected::Completed(Value::Null),
            logs: Vec::new(),
            name,
            code: String::new(),
        };
        let mut expects = 0;
        for (key, value) in code.lines().filter_map(|line| line.strip_prefix("// ")?.split_once(": ")) {
            match key {
                "Expect" => {
                    expects += 1;
                    script.expected = expected(value);
                }
                "Log" => {
                    let (level, text) = value.split_once(' ').unwrap_or((value, ""));
                    script.logs.push((level.parse().expect("is a level"), text.to_owned()));
                }
                "Kind" => script.kind = value.parse().expect("is a code type"),
                "Memory" => script.memory_bytes = value.parse::<usize>().expect("is a number") * MIB,
                _ => {}
            }
        }
        assert_eq!(expects, 1, "{} states one expectation", script.name);
        Self { code, ..script }
    }

    fn expects(&self, code: ErrorCode) -> bool {
        matches!(self.expected, Expected::Errored(expected, _) if expected == code)
    }

    /// Returns the memory limit of the header, with timeouts that even a busy machine does not reach unless the script is
    /// expected to reach one.
    fn limits(&self) -> Limits {
        let ends_late = self.expects(ErrorCode::Timeout) || self.expects(ErrorCode::InitTimeout);
        let limits = if ends_late { short_limits() } else { patient_limits() };
        Limits { memory_bytes: self.memory_bytes, ..limits }
    }

    /// Returns the differences from the expectation, if there are any.
    fn complaints(&self, finished: &Finished) -> Vec<String> {
        let mut complaints = Vec::new();
        match (&self.expected, &finished.outcome.verdict) {
            (Expected::Completed(expected), Verdict::Completed(json)) => {
                let result: Value = serde_json::from_str(json.get()).expect("a result is JSON");
                if result != *expected {
                    complaints.push(format!("completed with {result}, not {expected}"));
                }
            }
            (Expected::Length(length), Verdict::Completed(json)) => {
                if json.get().len() != *length {
                    complaints.push(format!("completed with {} bytes, not {length}", json.get().len()));
                }
            }
            (Expected::Errored(code, text), Verdict::Failed(error)) => {
                if error.code != *code || !error.message.contains(text) {
                    complaints.push(format!("errored as {}: {}", error.code, error.message));
                }
            }
            (_, verdict) => complaints.push(format!("ended as {verdict:?}")),
        }
        for (level, text) in &self.logs {
            if !finished.logs.iter().any(|line| line.level == *level && line.message.contains(text)) {
                complaints.push(format!("no {level} line holds {text:?}: {:?}", finished.messages()));
            }
        }
        if matches!(self.expected, Expected::Errored(..)) {
            let limit = match self.expected {
                Expected::Errored(ErrorCode::InitTimeout, _) => self.limits().init_timeout,
                _ => self.limits().execution_timeout,
            };
            if finished.took > limit + Duration::from_secs(1) {
                complaints.push(format!("took {:?}", finished.took));
            }
        }
        complaints
    }
}

fn expected(text: &str) -> Expected {
    let (how, rest) = text.split_once(' ').expect("says how it ends");
    match how {
        "length" => Expected::Length(rest.parse().expect("is a number")),
        "completed" => Expected::Completed(serde_json::from_str(rest).expect("is JSON")),
        "errored" => {
            let (code, text) = rest.split_once(' ').unwrap_or((rest, ""));
            Expected::Errored(code.parse().expect("is an error code"), text.to_owned())
        }
        other => panic!("{other} is no end"),
    }
}

fn corpus() -> Vec<Script> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hostile");
    let files = fs::read_dir(folder).expect("the corpus is there").map(|entry| entry.expect("reads").path());
    let mut scripts: Vec<_> =
        files.filter(|path| path.extension().is_some_and(|extension| extension == "js")).collect();
    scripts.sort();
    assert!(scripts.len() >= 80, "the corpus has {} scripts", scripts.len());
    scripts.iter().map(|path| Script::read(path)).collect()
}

/// Runs an honest script, which takes as long as the hostile one and then returns a result. Returns a complaint if its outcome
/// is another one.
async fn neighbour(pool: &Arc<Pool>) -> Vec<String> {
    let job = job_of(
        CodeType::MainFn,
        "async function main() {
            let sum = 0;
            for (let turn = 0; turn < 20; turn++) {
                await new Promise(resolve => setTimeout(resolve, 5));
                for (let i = 0; i < 1000; i++) sum += i;
            }
            return sum;
        }",
    );
    match run(pool, job).await.outcome.verdict {
        Verdict::Completed(json) if json.get() == "9990000" => Vec::new(),
        verdict => vec![format!("its honest neighbour ended as {verdict:?}")],
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_hostile_script_ends_as_its_header_says() {
    let pool = Pool::start(PoolConfig { spares: 2, ..config(2 * AT_ONCE) }).await.expect("the pool starts");
    let scripts: Vec<_> = corpus().into_iter().filter(|script| script.name.contains(&only())).collect();
    assert!(!scripts.is_empty(), "no script's name holds {}", only());
    println!("{} scripts", scripts.len());
    let runs = scripts.into_iter().map(|script| {
        let pool = &pool;
        async move {
            let mut job = job_of(script.kind, &script.code);
            job.limits = script.limits();
            let (finished, mut complaints) = tokio::join!(run(pool, job), neighbour(pool));
            complaints.extend(script.complaints(&finished));
            (script.name, complaints)
        }
    });
    let mut failures: Vec<_> = stream::iter(runs)
        .buffer_unordered(AT_ONCE)
        .filter(|(_, complaints)| std::future::ready(!complaints.is_empty()))
        .collect()
        .await;
    failures.sort();
    assert!(failures.is_empty(), "{}", report(&failures));
    assert_eq!(run(&pool, job_of(CodeType::Raw, "return 'fine'")).await.result(), json!("fine"));
}

/// Runs the scripts whose names contain the value of `HOSTILE`, by default all.
#[expect(
    clippy::disallowed_methods,
    reason = "for a person at work on one script; nothing is configured by it"
)]
fn only() -> String {
    std::env::var("HOSTILE").unwrap_or_default()
}

fn report(failures: &[(String, Vec<String>)]) -> String {
    let lines: Vec<_> =
        failures.iter().map(|(name, complaints)| format!("{name}: {}", complaints.join("; "))).collect();
    lines.join("\n")
}
