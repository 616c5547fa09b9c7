//! Processes that misbehave in place of a sandbox process: the damage stays within their own run.

use super::{Finished, bare_context, config, job, run, short_limits};
use sandbox_protocol::{Job, MAX_ERROR_TEXT_UNITS};
use shared::execution::{ErrorCode, Status};
use std::{path::Path, sync::Arc, time::Duration};
use tokio::{sync::mpsc, time::sleep};
use worker::testing::supervisor::{LaunchMode, Pool, PoolConfig};

/// Starts a pool of one process that behaves as `tests/rogue/<name>.sh`.
async fn rogue_pool(name: &str) -> Arc<Pool> {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/rogue/{name}.sh"));
    let config = PoolConfig { program, spares: 0, launch_mode: LaunchMode::Spawn, ..config(1) };
    Pool::start(config).await.expect("the pool starts")
}

fn short_job() -> Job {
    let mut job = job("function main() { return 1; }");
    job.limits = short_limits();
    job
}

/// Returns a job with the usual time limit: a shell on a busy machine may reach the short one before its flood is large enough.
fn patient_job() -> Job {
    job("function main() { return 1; }")
}

/// Runs a job in a rogue process, and waits until the process is replaced.
async fn run_in(name: &str) -> Finished {
    run_job_in(name, short_job()).await
}

async fn run_job_in(name: &str, job: Job) -> Finished {
    let pool = rogue_pool(name).await;
    let finished = run(&pool, job).await;
    drop(pool.acquire().await);
    assert_eq!(pool.status().restarts.values().sum::<u64>(), 1, "{name} is replaced");
    finished
}

#[tokio::test]
async fn protocol_violations_count_as_a_sandbox_crash() {
    for name in [
        "nonsense",
        "overlong",
        "long_message",
        "unrequested_body",
        "forged_result",
        "forged_code",
        "many_fetches",
        "abort_flood",
        "flood",
    ] {
        let finished = run_job_in(name, patient_job()).await;
        assert_eq!(finished.error_code(), ErrorCode::SandboxCrashed, "{name}: {:?}", finished.error());
        assert_eq!(finished.error().message, "the sandbox broke its protocol", "{name}");
    }
}

#[tokio::test]
async fn a_flood_of_lines_is_bounded() {
    let job = patient_job();
    let max_lines = job.limits.log_lines;
    let finished = run_job_in("flood", job).await;
    assert_eq!(finished.logs.len(), max_lines + 1);
}

#[tokio::test]
async fn a_crash_is_reported_and_the_last_lines_are_kept() {
    let finished = run_in("crash").await;
    assert_eq!(finished.error_code(), ErrorCode::SandboxCrashed);
    assert_eq!(finished.error().message, "the sandbox died: SIGSEGV");
    assert_eq!(finished.messages(), ["last words"]);
}

#[tokio::test]
async fn a_child_that_ignores_its_deadline_is_killed_within_a_second() {
    let finished = run_in("deaf").await;
    assert_eq!(finished.error_code(), ErrorCode::Timeout);
    assert_eq!(finished.messages(), ["last words"]);
    let limit = short_limits().execution_timeout;
    assert!(finished.outcome.usage.run < limit + Duration::from_secs(1), "{:?}", finished.outcome.usage);
}

#[tokio::test]
async fn reported_usage_is_capped_at_the_possible_maximum() {
    let pool = rogue_pool("forged_usage").await;
    let finished = run(&pool, short_job()).await;
    assert_eq!(finished.result(), 1);
    let (usage, second) = (finished.outcome.usage, Duration::from_secs(10));
    assert!(usage.init < second && usage.run < second && usage.cpu < second, "{usage:?}");
    assert!(usage.memory_peak_bytes < 1 << 30 && usage.fetches == 0, "{usage:?}");
}

#[tokio::test]
async fn an_error_text_of_the_sandbox_is_truncated() {
    let finished = run(&rogue_pool("huge_error").await, short_job()).await;
    let error = finished.error();
    assert_eq!(error.code, ErrorCode::ScriptError);
    let longest = 3 * MAX_ERROR_TEXT_UNITS;
    assert_eq!((error.message.len(), error.stack.as_ref().map(String::len)), (longest, Some(longest)));
}

#[tokio::test]
async fn a_child_is_killed_on_time_with_a_full_log_channel() {
    let pool = rogue_pool("deaf_and_talkative").await;
    let (logs, mut lines) = mpsc::channel(1);
    let slot = pool.acquire().await;
    let running = tokio::spawn(slot.run(short_job(), bare_context(logs)));
    let pid = lines.recv().await.expect("it tells its id").message;
    // The channel is full from here on. The process has exited, or is a zombie, long before the last lines are given up.
    let gone = async {
        while std::fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty()) {
            sleep(Duration::from_millis(10)).await;
        }
    };
    let limit = short_limits().execution_timeout + Duration::from_secs(1);
    tokio::time::timeout(limit, gone).await.expect("it is killed within its limit and a second");
    assert!(!running.is_finished(), "its lines still wait for their reader");
    drop(lines);
    let outcome = running.await.expect("does not panic");
    assert_eq!(outcome.verdict.status(), Status::Errored);
}
