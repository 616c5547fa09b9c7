//! Memory and processes of many runs. The longest is ignored by default:
//! `cargo test --workspace --test it a_hundred_thousand_runs -- --ignored --nocapture`.

use super::{
    config, eventually, job, pool,
    processes::{children, memory, seen, settled},
    run, run_in_slot, short_limits,
};
use futures_util::{StreamExt as _, stream};
use serde_json::json;
use std::{collections::HashSet, fs, sync::Arc, time::Instant};
use tokio::process::Command;
use worker::testing::supervisor::{LaunchMode, Pool, PoolConfig};

const SCRIPT: &str = "async function main({ event }) {
    const kept = Array.from({ length: 2000 }, (_, i) => ({ i, text: 'item ' + i }));
    console.log('working on', kept.length);
    await new Promise(resolve => setTimeout(resolve, 0));
    return kept.length;
}";

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").expect("procfs").count()
}

async fn many(pool: &Arc<Pool>, runs: usize, at_once: usize) {
    stream::iter(0..runs)
        .map(|_| async { assert_eq!(run(pool, job(SCRIPT)).await.result(), json!(2000)) })
        .buffer_unordered(at_once)
        .collect::<()>()
        .await;
}

#[tokio::test]
async fn processes_of_one_template_differ_in_all_that_is_random() {
    const RUNS: usize = 200;
    let pool = pool(1).await;
    let script = "function main() {
        const identity = new Map([[{}, 1]]);
        return [
            Math.random(), crypto.randomUUID(), crypto.getRandomValues(new Uint32Array(4)).join(),
            performance.timeOrigin, identity.size,
        ];
    }";
    let mut values = HashSet::new();
    for _ in 0..RUNS {
        let result = run(&pool, job(script)).await.result();
        let [number, uuid, bytes, origin, _] = &result.as_array().expect("it is one")[..] else {
            panic!("{result}")
        };
        values.extend([number, uuid, bytes, origin].map(ToString::to_string));
    }
    assert_eq!(values.len(), 4 * RUNS);
}

#[tokio::test]
async fn a_process_is_reaped_after_its_run() {
    for launch_mode in [LaunchMode::Fork, LaunchMode::Spawn] {
        let pool = Pool::start(PoolConfig { launch_mode, ..config(1) }).await.expect("the pool starts");
        let endings = [
            "function main() { return 1; }",
            "function main() { throw 1; }",
            "function main() { for (;;); }",
        ];
        for script in endings {
            let slot = pool.acquire().await;
            let id = slot.process_id().expect("it runs");
            let mut job = job(script);
            job.limits = short_limits();
            run_in_slot(slot, job).await;
            let is_reaped = || seen(id).is_none_or(|process| process.parent != std::process::id());
            eventually("the process is reaped", is_reaped).await;
        }
    }
}

/// Runs the test of this name in a process of its own, whose descriptors and memory are those of its runs alone.
async fn alone(name: &str) {
    let own = std::env::current_exe().expect("procfs");
    let arguments = ["--ignored", "--exact", name, "--nocapture"];
    let output = Command::new(own).args(arguments).kill_on_drop(true).output().await.expect("it starts");
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{printed}{}", String::from_utf8_lossy(&output.stderr));
    assert!(printed.contains("test result: ok. 1 passed"), "{name} exists: {printed}");
}

#[tokio::test]
async fn thousands_of_runs_leave_nothing_behind() {
    alone("sandbox::endurance::three_thousand_runs_leave_nothing_behind").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "counts the descriptors of the whole process: another test runs it alone"]
async fn three_thousand_runs_leave_nothing_behind() {
    leave_nothing_behind(3_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes, and counts the descriptors of the whole process"]
async fn a_hundred_thousand_runs_leave_nothing_behind() {
    leave_nothing_behind(100_000).await;
}

/// Compares descriptors, processes and memory after these runs with those after the first 500.
async fn leave_nothing_behind(runs: usize) {
    const EARLY_RUNS: usize = 500;
    const GROWTH_KIB: u64 = 8 * 1024;
    let pool = pool(2).await;
    let own = std::process::id();
    let began = Instant::now();
    let mut counted = Vec::new();
    for runs in [EARLY_RUNS, runs - EARLY_RUNS] {
        many(&pool, runs, 2).await;
        settled(&pool, 3).await;
        assert_eq!(children().len(), 4, "three ready processes and a template");
        let template = pool.template_id().await.expect("a template");
        counted.push((descriptors(), memory(own, "VmRSS"), memory(template, "RssAnon")));
    }
    println!("{runs} runs in {:?}; descriptors, worker KiB, template KiB: {counted:?}", began.elapsed());
    let [early, late] = counted[..] else { unreachable!("there are two") };
    assert!(pool.status().restarts.is_empty(), "every run ended in order");
    assert_eq!(late.0, early.0, "descriptors");
    assert!(late.1 < early.1 + GROWTH_KIB, "the worker grew from {} to {} KiB", early.1, late.1);
    assert!(late.2 < early.2 + GROWTH_KIB, "the template grew from {} to {} KiB", early.2, late.2);
}
