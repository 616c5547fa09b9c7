//! Slots and processes of a pool: limit on runs at once, replacement, no leftovers.

use super::{Finished, config, eventually, job, pool, run, run_in_slot, short_limits};
use futures_util::future::join_all;
use sandbox_protocol::Job;
use serde_json::json;
use shared::execution::ErrorCode;
use std::{
    collections::HashSet,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};
use uuid::Uuid;
use worker::testing::supervisor::{LaunchMode, Pool, PoolConfig, PoolStartError};

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

/// Both ways to make a process: as a copy of a template, and as a program of its own.
const LAUNCH_MODES: [LaunchMode; 2] = [LaunchMode::Fork, LaunchMode::Spawn];

async fn pool_of(launch_mode: LaunchMode, slots: usize) -> Arc<Pool> {
    let pool = Pool::start(PoolConfig { launch_mode, ..config(slots) }).await.expect("the pool starts");
    assert_eq!(pool.status().launch_mode, launch_mode, "this host supports it");
    pool
}

#[tokio::test]
async fn no_two_runs_share_a_process() {
    for mode in LAUNCH_MODES {
        let pool = pool_of(mode, 1).await;
        let leaves = "function main() {
            globalThis.left = 1; Object.prototype.left = 1; Array.prototype.push = () => 'stolen'; JSON.stringify = null;
            setInterval(() => {}, 1); return 'left';
        }";
        let looks = "function main() { return [typeof left, [].push(1), typeof JSON.stringify]; }";
        let mut seen = HashSet::new();
        for _ in 0..3 {
            for (script, result) in [(leaves, json!("left")), (looks, json!(["undefined", 1, "function"]))] {
                let slot = pool.acquire().await;
                assert!(seen.insert(slot.process_id().expect("it runs")), "a process has one run");
                assert_eq!(run_in_slot(slot, job(script)).await.result(), result);
            }
        }
        assert!(pool.status().restarts.is_empty(), "every run ended in order");
    }
}

/// Script that V8 does not interrupt, so that its process is killed.
const KILLED: &str = "function main() { [].indexOf.call({ length: Number.MAX_SAFE_INTEGER }, 1); }";

#[tokio::test]
async fn a_crash_replaces_the_template_and_its_copies() {
    let pool = pool_of(LaunchMode::Fork, 1).await;
    let before = pool.status().generation;
    assert_eq!(run(&pool, job("function main() { return 1; }")).await.result(), json!(1));
    assert_eq!(pool.status().generation, before, "a run that ends in order leaves the template");
    let killed = Job { limits: short_limits(), ..job(KILLED) };
    assert_eq!(run(&pool, killed).await.error_code(), ErrorCode::Timeout);
    eventually("every ready process is a copy of another template", || {
        pool.status().ready == 2 && pool.status().oldest_generation > Some(before)
    })
    .await;
    assert!(pool.status().generation > before);
    assert_eq!(run(&pool, job("function main() { return 1; }")).await.result(), json!(1));
}

#[tokio::test]
async fn a_template_is_replaced_after_its_maximum_of_copies() {
    let pool =
        Pool::start(PoolConfig { copies_per_template: 3, ..config(1) }).await.expect("the pool starts");
    // Until the new one is ready, the old one makes the copies.
    for n in 0.. {
        assert_eq!(run(&pool, job(&format!("function main() {{ return {n}; }}"))).await.result(), json!(n));
        if pool.status().generation >= 3 {
            break;
        }
        assert!(n < 10_000, "two templates were replaced");
    }
    assert!(pool.status().restarts.is_empty(), "every run ended in order");
}

#[tokio::test]
async fn a_template_that_dies_is_replaced_and_its_copies_run_on() {
    let pool = pool_of(LaunchMode::Fork, 2).await;
    let slot = pool.acquire().await;
    let script = "async function main() { await new Promise(r => setTimeout(r, 300)); return 'ran on'; }";
    let running = tokio::spawn(run_in_slot(slot, job(script)));
    let template = pool.template_id().await.expect("a template");
    let killed = std::process::Command::new("kill").args(["-KILL", &template.to_string()]).status();
    assert!(killed.expect("kill is there").success());
    assert_eq!(running.await.expect("does not panic").result(), json!("ran on"));
    for _ in 0..4 {
        assert_eq!(run(&pool, job("function main() { return 1; }")).await.result(), json!(1));
    }
    assert!(pool.template_id().await.is_some_and(|id| id != template));
}

#[tokio::test]
async fn a_host_without_templates_gets_a_process_per_run() {
    let folder = std::env::temp_dir().join(format!("no-template-{}", Uuid::now_v7()));
    fs::create_dir(&folder).expect("the temporary folder is writable");
    let program = folder.join("program.sh");
    let worker = env!("CARGO_BIN_EXE_worker");
    write_program(&program, &format!("[ \"$1\" = template ] && exit 1\nexec {worker} \"$@\"\n"));
    let pool = Pool::start(PoolConfig { program, ..config(1) }).await.expect("the pool starts");
    assert_eq!(pool.status().launch_mode, LaunchMode::Spawn);
    let mut seen = HashSet::new();
    for workspace in ["a", "a", "b"] {
        let slot = pool.acquire().await;
        assert!(seen.insert(slot.process_id()), "a process has one run");
        let job =
            Job { workspace_slug: workspace.to_owned(), ..job("function main() { return workspaceSlug; }") };
        assert_eq!(run_in_slot(slot, job).await.result(), json!(workspace));
    }
    fs::remove_dir_all(folder).expect("the folder is ours");
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
async fn a_program_that_is_no_sandbox_is_refused_at_start() {
    let wrong = PoolConfig { program: "/bin/false".into(), ..config(1) };
    assert!(matches!(Pool::start(wrong).await, Err(PoolStartError::SnapshotFailed(_))));
}

/// Runs a trivial job in a pool whose first process is this rogue. Returns the outcome and the number of crashed processes.
async fn run_after_rogue(rogue: &str) -> (Finished, u64) {
    let folder = std::env::temp_dir().join(format!("rogue-once-{}", Uuid::now_v7()));
    fs::create_dir(&folder).expect("the temporary folder is writable");
    let program = rogue_once(&folder, rogue);
    let config = PoolConfig { program, spares: 0, launch_mode: LaunchMode::Spawn, ..config(1) };
    let pool = Pool::start(config).await.expect("the pool starts");
    let finished = run(&pool, job("function main() { return 1; }")).await;
    fs::remove_dir_all(folder).expect("the folder is ours");
    (finished, pool.status().restarts.get("crashed").copied().unwrap_or(0))
}

/// Writes a program that starts the rogue once, as long as a marker is in the folder, and the real one from then on. It
/// only takes from the folder, so that the folder can be removed while a replacement starts.
fn rogue_once(folder: &Path, rogue: &str) -> PathBuf {
    let worker = env!("CARGO_BIN_EXE_worker");
    let rogue = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rogue").join(rogue);
    let program = folder.join("program.sh");
    let marker = folder.join("first");
    fs::write(&marker, "").expect("the folder is ours");
    let text = format!(
        "if [ \"$1\" = sandbox ] && rm {} 2>/dev/null; then exec {} \"$1\"; fi\nexec {worker} \"$@\"\n",
        marker.display(),
        rogue.display(),
    );
    write_program(&program, &text);
    program
}

fn write_program(path: &Path, text: &str) {
    fs::write(path, format!("#!/bin/sh\n{text}")).expect("the folder is ours");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("the file is ours");
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
