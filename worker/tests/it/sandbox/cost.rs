//! Cost of a run, for the figures of `docs/adr/0018-a-process-per-run.md`:
//! `SANDBOX_PROGRAM=target/release/worker cargo test --workspace --test it sandbox::cost -- --ignored --nocapture --test-threads 1`.

use super::{
    bare_context, config, job,
    processes::{children, memory, seen, settled},
    run, run_in_slot_with,
};
use sandbox_protocol::Job;
use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use worker::testing::supervisor::{
    LaunchMode, Pool, PoolConfig, RunContext,
    fetch::{FetchConfig, Fetcher},
};

/// Returns the configuration of a pool whose processes are of the program that is measured.
#[expect(clippy::disallowed_methods, reason = "names the program to measure, and configures nothing")]
fn measured(launch_mode: LaunchMode) -> PoolConfig {
    let config = config(1);
    let program = std::env::var_os("SANDBOX_PROGRAM").map_or_else(|| config.program.clone(), PathBuf::from);
    PoolConfig { launch_mode, program, ..config }
}

/// Processor time of this process, its reaped children and its template, in hundredths of a second.
async fn ticks(pool: &Pool) -> u64 {
    let ids = [Some(std::process::id()), pool.template_id().await];
    ids.into_iter().flatten().filter_map(seen).map(|process| process.ticks).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn the_cost_of_a_run_is_printed() {
    let trivial = job("function main() { return 1; }");
    for (launch_mode, runs) in [(LaunchMode::Fork, 2_000_u32), (LaunchMode::Spawn, 60)] {
        for workspaces in [1, 50, 1_000] {
            let pool = Pool::start(measured(launch_mode)).await.expect("the pool starts");
            settled(&pool, 2).await;
            let (mut times, mut starts) = (Vec::new(), Vec::new());
            let (began, ticks_before) = (Instant::now(), ticks(&pool).await);
            for n in 0..runs {
                let job = Job { workspace_slug: format!("w{}", n % workspaces), ..trivial.clone() };
                let began = Instant::now();
                let finished = run(&pool, job).await;
                times.push(began.elapsed());
                starts.push(finished.outcome.usage.init);
            }
            let wall = began.elapsed();
            settled(&pool, 2).await;
            let processor = u32::try_from((ticks(&pool).await - ticks_before) * 10).expect("is short");
            println!(
                "{launch_mode:?}, {workspaces} workspaces: {:.0} runs/s, {:.2} ms of processor per run, \
                 wall {}, job read to `main` {}",
                f64::from(runs) / wall.as_secs_f64(),
                f64::from(processor) / f64::from(runs),
                percentiles(times),
                percentiles(starts)
            );
        }
    }
}

fn percentiles(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let at = |share: usize| times[(times.len() - 1) * share / 100];
    format!("p50 {:?}, p99 {:?}", at(50), at(99))
}

#[tokio::test]
#[ignore = "a measurement"]
async fn the_memory_of_processes_is_printed() {
    let exceptions = "127.0.0.1".parse().expect("is an address");
    let api_base = "http://plane.example".parse().expect("is a URL");
    let fetcher = Fetcher::new(FetchConfig::new(api_base, exceptions)).expect("a client can be made");
    let config = PoolConfig { fetcher: Arc::new(fetcher), ..measured(LaunchMode::Fork) };
    let pool = Pool::start(config).await.expect("the pool starts");
    settled(&pool, 2).await;
    let template = pool.template_id().await;
    for child in children() {
        print(if Some(child.id) == template { "template" } else { "spare" }, child.id);
    }
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let server = silent.local_addr().expect("is bound").to_string();
    let slot = pool.acquire().await;
    let id = slot.process_id().expect("it runs");
    let job = job(&format!("async function main() {{ await fetch('http://{server}/'); }}"));
    let cancel = CancellationToken::new();
    let context =
        |logs| RunContext { allowed_domains: vec![server], cancel: cancel.clone(), ..bare_context(logs) };
    let look = async {
        let _connection = silent.accept().await.expect("the script connects");
        print("run that waits for a fetch", id);
        cancel.cancel();
    };
    tokio::join!(run_in_slot_with(slot, job, context), look);
}

fn print(name: &str, id: u32) {
    let [private, shared, anonymous, file] =
        ["Private_Dirty", "Shared_Dirty", "RssAnon", "RssFile"].map(|field| memory(id, field));
    println!(
        "{name}: {private} KiB private, {shared} KiB shared and written, {anonymous} KiB anonymous, {file} KiB of files"
    );
}
