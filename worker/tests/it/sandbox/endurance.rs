//! Time, memory and processes of many runs. The long ones are ignored by default:
//! `scripts/with-services cargo test --workspace --test it endurance -- --ignored --nocapture --test-threads 1`.

use super::{config, job, pool, run, run_in_slot, short_limits};
use futures_util::{StreamExt as _, stream};
use sandbox_protocol::Job;
use serde_json::json;
use std::{
    collections::HashSet,
    fs,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::time::sleep;
use worker::testing::supervisor::{LaunchMode, Pool, PoolConfig};

const SCRIPT: &str = "async function main({ event }) {
    const kept = Array.from({ length: 2000 }, (_, i) => ({ i, text: 'item ' + i }));
    console.log('working on', kept.length);
    await new Promise(resolve => setTimeout(resolve, 0));
    return kept.length;
}";

/// Process of this machine.
struct Seen {
    id: u32,
    state: String,
    parent: u32,
    /// Processor time of the process and of its reaped children, in hundredths of a second.
    ticks: u64,
}

fn seen(id: u32) -> Option<Seen> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let fields: Vec<_> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    let ticks = fields[11..15].iter().map(|ticks| ticks.parse::<u64>().unwrap_or_default()).sum();
    Some(Seen { id, state: fields[0].to_owned(), parent: fields[1].parse().ok()?, ticks })
}

fn children() -> Vec<Seen> {
    fs::read_dir("/proc")
        .expect("procfs")
        .filter_map(|entry| seen(entry.ok()?.file_name().to_str()?.parse().ok()?))
        .filter(|seen| seen.parent == std::process::id())
        .collect()
}

fn is_template(id: u32) -> bool {
    fs::read_to_string(format!("/proc/{id}/cmdline")).is_ok_and(|line| line.contains("template"))
}

/// Returns a field of a process's memory, in KiB.
fn memory(id: u32, field: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap_or_default();
    line.trim_start_matches(':').trim().trim_end_matches(" kB").parse().unwrap_or_default()
}

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

/// Waits until every process of the pool is ready and no other is left.
async fn settled(pool: &Arc<Pool>, processes: usize) {
    while pool.status().ready < processes || children().iter().any(|child| child.state == "Z") {
        sleep(Duration::from_millis(1)).await;
    }
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
        values.extend([number, uuid, bytes, origin].map(|value| value.to_string()));
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
            while seen(id).is_some_and(|process| process.parent == std::process::id()) {
                sleep(Duration::from_millis(1)).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes, and counts the descriptors of the whole process"]
async fn a_hundred_thousand_runs_leave_nothing_behind() {
    let pool = pool(2).await;
    let began = Instant::now();
    many(&pool, 1_000, 2).await;
    settled(&pool, 3).await;
    let own = std::process::id();
    let (open, before) = (descriptors(), memory(own, "VmRSS"));
    many(&pool, 99_000, 2).await;
    settled(&pool, 3).await;
    let (after, now_open) = (memory(own, "VmRSS"), descriptors());
    println!("100,000 runs in {:?}; worker: {before} → {after} KiB", began.elapsed());
    println!(
        "{:?}",
        children().iter().map(|child| (child.id, memory(child.id, "RssAnon"))).collect::<Vec<_>>()
    );
    assert!(pool.status().restarts.is_empty(), "every run ended in order");
    assert_eq!(now_open, open, "descriptors");
    assert_eq!(children().len(), 4, "three ready processes and a template");
    assert!(after < before + 8 * 1024, "the worker grew from {before} to {after} KiB");
}

/// Processor time of this process, its reaped children and its template, in hundredths of a second.
fn ticks() -> u64 {
    let own = seen(std::process::id()).expect("procfs").ticks;
    own + children().iter().filter(|child| is_template(child.id)).map(|child| child.ticks).sum::<u64>()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn the_cost_of_a_run_is_printed() {
    let trivial = "function main() { return 1; }";
    for (launch_mode, runs) in [(LaunchMode::Fork, 1_000_u32), (LaunchMode::Spawn, 60)] {
        for workspaces in [1, 50, 1_000] {
            let pool = Pool::start(PoolConfig { launch_mode, ..config(1) }).await.expect("the pool starts");
            settled(&pool, 2).await;
            let (mut times, mut starts) = (Vec::new(), Vec::new());
            let (began, ticks_before) = (Instant::now(), ticks());
            for n in 0..runs {
                let job = Job { workspace_slug: format!("w{}", n % workspaces), ..job(trivial) };
                let began = Instant::now();
                let finished = run(&pool, job).await;
                times.push(began.elapsed());
                starts.push(finished.outcome.usage.init);
            }
            let wall = began.elapsed();
            settled(&pool, 2).await;
            println!(
                "{launch_mode:?}, {workspaces} workspaces: {:.0} runs/s, {:.2} ms of processor per run, wall {}, until main {}",
                f64::from(runs) / wall.as_secs_f64(),
                f64::from(u32::try_from((ticks() - ticks_before) * 10).unwrap_or_default()) / f64::from(runs),
                median(times.into_iter()),
                median(starts.into_iter())
            );
            for child in children() {
                let [anonymous, file] = ["RssAnon", "RssFile"].map(|field| memory(child.id, field));
                println!(
                    "  {} template {}: {anonymous} KiB anonymous, {file} KiB of files",
                    child.id,
                    is_template(child.id)
                );
            }
        }
    }
}

fn median(times: impl Iterator<Item = Duration>) -> String {
    let mut times: Vec<_> = times.collect();
    times.sort_unstable();
    let at = |share: usize| times[(times.len() - 1) * share / 100];
    format!("p50 {:?}, p99 {:?}", at(50), at(99))
}
