//! Children that are no sandboxes of ours: what they do stays theirs.

use super::{Finished, config, job, run, short_limits};
use shared::execution::ErrorCode;
use std::{path::Path, time::Duration};
use worker::supervisor::{Pool, PoolConfig};

/// Runs a job in a child that behaves as `tests/rogue/<name>.sh`, and waits until that is replaced.
async fn run_in(name: &str) -> Finished {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/rogue/{name}.sh"));
    let pool = Pool::start(PoolConfig { program, spares: 0, ..config(1) }).await.expect("the pool starts");
    let mut job = job("function main() { return 1; }");
    job.limits = short_limits();
    let finished = run(&pool, job).await;
    drop(pool.acquire().await);
    assert_eq!(pool.status().restarts.values().sum::<u64>(), 1, "{name} is replaced");
    finished
}

#[tokio::test]
async fn nonsense_overlong_frames_and_forged_results_are_a_crash_of_the_sandbox() {
    for name in ["nonsense", "overlong", "forged_result", "many_fetches", "flood"] {
        let finished = run_in(name).await;
        assert_eq!(finished.error_code(), ErrorCode::SandboxCrashed, "{name}: {:?}", finished.error());
        assert_eq!(finished.error().message, "the sandbox broke its protocol", "{name}");
    }
}

#[tokio::test]
async fn a_flood_of_lines_is_bounded() {
    let finished = run_in("flood").await;
    assert_eq!(finished.logs.len(), short_limits().log_lines + 1);
}

#[tokio::test]
async fn a_crash_is_told_and_the_last_lines_are_kept() {
    let finished = run_in("crash").await;
    assert_eq!(finished.error_code(), ErrorCode::SandboxCrashed);
    assert_eq!(finished.error().message, "the sandbox died: SIGSEGV");
    assert_eq!(finished.messages(), ["last words"]);
}

#[tokio::test]
async fn a_child_that_honours_no_deadline_is_killed_soon_after() {
    let finished = run_in("deaf").await;
    assert_eq!(finished.error_code(), ErrorCode::Timeout);
    assert_eq!(finished.messages(), ["last words"]);
    let limit = short_limits().execution_timeout;
    assert!(finished.outcome.usage.run < limit + Duration::from_secs(1), "{:?}", finished.outcome.usage);
}
