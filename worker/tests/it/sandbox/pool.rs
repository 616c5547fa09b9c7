//! Slots and processes of a pool: limit on runs at once, replacement, no leftovers.

use super::{Finished, config, job, pool, run};
use futures_util::future::join_all;
use sandbox_protocol::Job;
use serde_json::json;
use shared::execution::ErrorCode;
use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};
use uuid::Uuid;
use worker::testing::supervisor::{Pool, PoolConfig, PoolStartError};

#[tokio::test]
async fn a_script_that_kills_its_sandbox_leaves_the_pool_whole() {
    let pool = pool(2).await;
    let hostile = job("function main() { const all = []; for (;;) all.push(new Array(1e6).fill(all)); }");
    let honest = job("async function main() { await new Promise(r => setTimeout(r, 50)); return 'fine'; }");
    let (hostile, honest) = tokio::join!(run(&pool, hostile), run(&pool, honest));
    assert_eq!(hostile.error_code(), ErrorCode::MemoryLimit);
    assert_eq!(honest.result(), json!("fine"));
    let after = run(&pool, job("function main() { return 'still here'; }")).await;
    assert_eq!(after.result(), json!("still here"));
    assert_eq!(pool.status().restarts.values().sum::<u64>(), 1);
}

#[tokio::test]
async fn more_jobs_than_slots_all_get_their_turn() {
    let pool = pool(2).await;
    let runs = (0..12).map(|n| {
        let pool = pool.clone();
        async move { run(&pool, job(&format!("async function main() {{ return {n}; }}"))).await.result() }
    });
    let results = join_all(runs).await;
    assert_eq!(results, (0..12).map(|n| json!(n)).collect::<Vec<_>>());
    assert_eq!(pool.status().busy, 0);
}

#[tokio::test]
async fn nothing_survives_into_the_next_run_of_the_same_process() {
    let pool = Pool::start(PoolConfig { spares: 0, ..config(1) }).await.expect("the pool starts");
    let leaves = "function main() {
        globalThis.left = 1; Object.prototype.left = 1; Array.prototype.push = () => 'stolen'; JSON.stringify = null;
        setInterval(() => {}, 1); return 'left';
    }";
    assert_eq!(run(&pool, job(leaves)).await.result(), json!("left"));
    let looks = "function main() { return [typeof left, [].push(1), typeof JSON.stringify]; }";
    assert_eq!(run(&pool, job(looks)).await.result(), json!(["undefined", 1, "function"]));
    assert!(pool.status().restarts.is_empty(), "both ran in one process");
}

#[tokio::test]
async fn a_slot_that_is_dropped_gives_its_child_back() {
    let pool = pool(1).await;
    drop(pool.acquire().await);
    assert_eq!(run(&pool, job("function main() { return 1; }")).await.result(), json!(1));
    assert!(pool.status().restarts.is_empty());
}

#[tokio::test]
async fn a_run_that_is_abandoned_ends_and_its_child_is_replaced() {
    let pool = pool(1).await;
    let endless = run(&pool, job("function main() { for (;;); }"));
    let raced = futures_util::future::select(Box::pin(endless), Box::pin(tokio::task::yield_now())).await;
    drop(raced);
    assert_eq!(run(&pool, job("function main() { return 1; }")).await.result(), json!(1));
}

#[tokio::test]
async fn a_process_is_replaced_after_its_maximum_of_runs() {
    let pool = Pool::start(PoolConfig { runs_per_child: 2, ..config(1) }).await.expect("the pool starts");
    for n in 0..5 {
        assert_eq!(run(&pool, job(&format!("function main() {{ return {n}; }}"))).await.result(), json!(n));
    }
    assert!(pool.status().restarts["recycled"] >= 1);
}

#[tokio::test]
async fn a_program_that_is_no_sandbox_is_refused_at_start() {
    let wrong = PoolConfig { program: "/bin/false".into(), ..config(1) };
    assert!(matches!(Pool::start(wrong).await, Err(PoolStartError::SnapshotFailed(_))));
}

fn job_of_workspace(workspace: &str) -> Job {
    Job { workspace_slug: workspace.to_owned(), ..job("function main() { return workspaceSlug; }") }
}

#[tokio::test]
async fn a_process_has_the_runs_of_one_workspace_only() {
    let pool = Pool::start(PoolConfig { spares: 0, ..config(1) }).await.expect("the pool starts");
    for (workspace, replaced) in [("a", None), ("a", None), ("b", Some(1)), ("b", Some(1)), ("a", Some(2))] {
        assert_eq!(run(&pool, job_of_workspace(workspace)).await.result(), json!(workspace));
        assert_eq!(pool.status().restarts.get("other_workspace").copied(), replaced);
    }
}

#[tokio::test]
async fn a_workspace_comes_back_to_its_own_process() {
    let pool = Pool::start(PoolConfig { spares: 1, ..config(1) }).await.expect("the pool starts");
    for workspace in ["a", "b", "a", "b", "b", "a"] {
        assert_eq!(run(&pool, job_of_workspace(workspace)).await.result(), json!(workspace));
        // The process is back in the pool when all are ready.
        while pool.status().ready < 2 {
            tokio::task::yield_now().await;
        }
    }
    assert!(pool.status().restarts.is_empty(), "{:?}", pool.status());
}

/// Runs a trivial job in a pool whose first process is this rogue. Returns the outcome and the number of crashed processes.
async fn run_after_rogue(rogue: &str) -> (Finished, u64) {
    let folder = std::env::temp_dir().join(format!("rogue-once-{}", Uuid::now_v7()));
    fs::create_dir(&folder).expect("the temporary folder is writable");
    let program = rogue_once(&folder, rogue);
    let pool = Pool::start(PoolConfig { program, spares: 0, ..config(1) }).await.expect("the pool starts");
    let finished = run(&pool, job("function main() { return 1; }")).await;
    fs::remove_dir_all(folder).expect("the folder is ours");
    (finished, pool.status().restarts.get("crashed").copied().unwrap_or(0))
}

fn rogue_once(folder: &Path, rogue: &str) -> PathBuf {
    let worker = env!("CARGO_BIN_EXE_worker");
    let rogue = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rogue").join(rogue);
    let program = folder.join("program.sh");
    let text = format!(
        "#!/bin/sh\nif [ \"$1\" = sandbox ] && mkdir {}/first 2>/dev/null; then exec {} \"$1\"; fi\nexec {worker} \"$@\"\n",
        folder.display(),
        rogue.display(),
    );
    fs::write(&program, text).expect("the folder is ours");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("the file is ours");
    program
}

#[tokio::test]
async fn a_process_killed_before_its_run_is_replaced_transparently() {
    let (finished, crashed) = run_after_rogue("killed_by_the_system.sh").await;
    assert_eq!((finished.result(), crashed), (json!(1), 1));
}

/// The run is not repeated, since its request may have arrived already.
#[tokio::test]
async fn a_process_killed_after_a_fetch_ends_the_attempt() {
    let (finished, crashed) = run_after_rogue("killed_while_it_fetches.sh").await;
    assert_eq!((finished.error_code(), crashed), (ErrorCode::SandboxCrashed, 1));
}
