//! Benchmark of the builder on a 10 KB TypeScript script, compared in the same run with acorn and esbuild in Node.
//!
//! Run with `cargo bench --workspace --bench builder`. The comparison needs Node and `npm ci` in `benches/peer`;
//! without it only the builder is measured.

use builder::{THREAD_STACK_BYTES, Unit, build};
use criterion::{Criterion, criterion_group};
use shared::execution::CodeType;
use std::{hint::black_box, path::Path, process::Command, time::Instant};

/// Allocator of the `api` program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SCRIPT: &str = include_str!("script.ts");
const ROUNDS: usize = 2_000;

fn run() -> usize {
    let report = build(Unit::Script(CodeType::MainFn), black_box(SCRIPT));
    report.build.expect("the script is fine").code.len()
}

fn builder(criterion: &mut Criterion) {
    criterion.bench_function("build, 10 KB of TypeScript", |bencher| bencher.iter(run));
    compare();
}

/// Prints both medians and their ratio, measured the same way on both sides.
fn compare() {
    let mut times: Vec<u128> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            black_box(run());
            start.elapsed().as_nanos()
        })
        .collect();
    times.sort_unstable();
    let (p50, p99) = (times[ROUNDS / 2], times[ROUNDS * 99 / 100]);
    println!("builder: p50 {} µs, p99 {} µs, {} bytes", p50 / 1000, p99 / 1000, SCRIPT.len());
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches");
    let peer =
        Command::new("node").arg(folder.join("peer/measure.js")).arg(folder.join("script.ts")).output();
    match peer {
        Ok(output) if output.status.success() => {
            let peer: serde_json::Value =
                serde_json::from_slice(&output.stdout).expect("the peer prints JSON");
            let peer_p50 = peer["p50"].as_u64().map_or(0, u128::from);
            println!(
                "acorn + esbuild: p50 {} µs, p99 {} µs",
                peer_p50 / 1000,
                peer["p99"].as_u64().unwrap_or(0) / 1000
            );
            println!("ratio of the medians: {}.{}", peer_p50 / p50, peer_p50 * 10 / p50 % 10);
        }
        _ => println!("acorn + esbuild: not measured (needs Node, and `npm ci` in benches/peer)"),
    }
}

criterion_group!(benches, builder);

/// Measures on a thread with the stack that the programs give to builds.
fn main() {
    let measure = || {
        benches();
        Criterion::default().configure_from_args().final_summary();
    };
    let thread = std::thread::Builder::new().stack_size(THREAD_STACK_BYTES).spawn(measure);
    thread.expect("a thread can be started").join().expect("nothing panics");
}
