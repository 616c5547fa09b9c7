//! Measures time and memory of many runs. Ignored by default: `cargo test -p worker --test it -- --ignored --nocapture`.

use super::{MIB, config, job, run};
use futures_util::{StreamExt as _, stream};
use sandbox_protocol::Job;
use serde_json::json;
use std::{
    fs,
    sync::Arc,
    time::{Duration, Instant},
};
use worker::testing::supervisor::{Pool, PoolConfig};

const SCRIPT: &str = "async function main({ event }) {
    const kept = Array.from({ length: 2000 }, (_, i) => ({ i, text: 'item ' + i }));
    console.log('working on', kept.length);
    await new Promise(resolve => setTimeout(resolve, 0));
    return kept.length;
}";

/// Returns the resident memory of a process, in bytes.
fn resident(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or_default() * 1024
}

/// Returns the resident memory of this process's children, in bytes, the largest first.
fn children() -> Vec<u64> {
    let own = std::process::id();
    let stat = |pid: u32| fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let parent = |pid: u32| -> Option<u32> {
        stat(pid).rsplit_once(')')?.1.split_ascii_whitespace().nth(1)?.parse().ok()
    };
    let processes = fs::read_dir("/proc")
        .expect("procfs")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    let mut sizes: Vec<_> = processes.filter(|&pid| parent(pid) == Some(own)).map(resident).collect();
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    sizes
}

async fn many(pool: &Arc<Pool>, runs: usize, at_once: usize) {
    stream::iter(0..runs)
        .map(|_| async { assert_eq!(run(pool, job(SCRIPT)).await.result(), json!(2000)) })
        .buffer_unordered(at_once)
        .collect::<()>()
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes a minute or more"]
async fn ten_thousand_runs_leave_memory_flat() {
    let pool = Pool::start(PoolConfig { spares: 0, runs_per_child: u32::MAX, ..config(2) })
        .await
        .expect("the pool starts");
    let began = Instant::now();
    many(&pool, 1_000, 2).await;
    let (own, early) = (resident(std::process::id()), children());
    many(&pool, 9_000, 2).await;
    let (own_late, late) = (resident(std::process::id()), children());
    println!("10,000 runs in {:?}", began.elapsed());
    println!("worker: {} → {} KiB; children: {early:?} → {late:?}", own / 1024, own_late / 1024);
    assert!(pool.status().restarts.is_empty(), "every run in the same two children");
    assert!(own_late < own + 8 * 1024 * 1024, "the worker grew from {own} to {own_late}");
    for (early, late) in early.iter().zip(&late) {
        assert!(*late < early + 8 * 1024 * 1024, "a child grew from {early} to {late}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn the_cost_of_a_run_is_printed() {
    const RUNS: usize = 300;
    let trivial = "function main() { return 1; }";
    let base = config(1);
    let reused = Pool::start(PoolConfig { spares: 0, ..base.clone() }).await.expect("the pool starts");
    let fresh = Pool::start(PoolConfig { spares: 0, runs_per_child: 1, ..base.clone() })
        .await
        .expect("the pool starts");
    let spare =
        Pool::start(PoolConfig { spares: 1, runs_per_child: 1, ..base }).await.expect("the pool starts");
    for (name, pool, runs) in [
        ("one process, a fresh isolate each", &reused, RUNS),
        ("a fresh process each", &fresh, 60),
        ("a fresh process each, one spare", &spare, 60),
    ] {
        let mut times = Vec::new();
        for _ in 0..runs {
            let job = job(trivial);
            let began = Instant::now();
            let slot = pool.acquire().await;
            let acquired = began.elapsed();
            drop(slot);
            let began = Instant::now();
            run(pool, job).await.result();
            times.push((began.elapsed(), acquired));
        }
        println!(
            "{name}: {} (of it waiting for a ready child: {})",
            median(times.iter().map(|t| t.0)),
            median(times.iter().map(|t| t.1))
        );
    }
    // A job with another limit than the last one finds no spare isolate. The limits alternate, so no job finds one.
    let mut times = Vec::new();
    for n in 0..RUNS {
        let mut job = job(trivial);
        job.limits.memory_bytes = if n % 2 == 0 { 127 } else { 126 } * MIB;
        let began = Instant::now();
        run(&reused, job).await.result();
        times.push(began.elapsed());
    }
    println!("one process, no spare isolate: {}", median(times.into_iter()));
    // There are more workspaces than processes, so no run finds a process of its workspace.
    for workspaces in [1, 2, 3] {
        let pool = Pool::start(PoolConfig { spares: 1, ..config(1) }).await.expect("the pool starts");
        let mut times = Vec::new();
        for n in 0..120 {
            let job = Job { workspace_slug: format!("w{}", n % workspaces), ..job(trivial) };
            let began = Instant::now();
            run(&pool, job).await.result();
            times.push(began.elapsed());
        }
        println!("two processes, {workspaces} workspaces in turn: {}", median(times.into_iter()));
    }
    println!("resident children: {:?} KiB", children().iter().map(|bytes| bytes / 1024).collect::<Vec<_>>());
}

fn median(times: impl Iterator<Item = Duration>) -> String {
    let mut times: Vec<_> = times.collect();
    times.sort_unstable();
    let at = |share: usize| times[(times.len() - 1) * share / 100];
    format!("p50 {:?}, p99 {:?}", at(50), at(99))
}
