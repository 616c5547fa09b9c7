//! `worker serve`, and the two commands it starts itself: `worker sandbox` and `worker snapshot`.

use anyhow::Context;
use shared::{
    config::Environment,
    telemetry::{self, Settings, logs, traces},
};
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use worker::{config::Config, serve::Worker};

const USAGE: &str = "usage: worker serve";

fn main() -> ExitCode {
    // The sandbox must not inherit a runtime, a logger or anything else from what follows.
    match std::env::args().nth(1).as_deref() {
        Some("sandbox") => sandbox::run_child(),
        #[cfg(debug_assertions)]
        Some("sandbox-probe") => sandbox::run_probe(&std::env::args().skip(2).collect::<Vec<_>>()),
        Some("snapshot") => match sandbox::write_snapshot(&mut std::io::stdout().lock()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("worker snapshot: {error}");
                ExitCode::FAILURE
            }
        },
        Some("serve") => match serve() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("worker: {error:#}");
                ExitCode::FAILURE
            }
        },
        Some("help" | "--help" | "-h") => {
            println!("{USAGE}");
            ExitCode::SUCCESS
        }
        Some("--version" | "-V") => {
            println!("worker {}", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
        _ => {
            eprintln!("{USAGE}");
            ExitCode::FAILURE
        }
    }
}

fn serve() -> anyhow::Result<()> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_stack_size(builder::THREAD_STACK_BYTES)
        .build()?
        .block_on(run())
}

async fn run() -> anyhow::Result<()> {
    let mut environment = Environment::of_process();
    let settings = Settings::read_from(&mut environment);
    let config = Config::read(environment)?;
    logs::init(&settings)?.toggle_on_signal()?;
    let metrics = telemetry::install_metrics()?;
    let tracing = traces::init(&settings, "runnerctl-worker")?;
    let stopping = stop_on_signal()?;
    let worker = Worker::start(config, stopping, metrics).await.context("can't start")?;
    // On the runtime's own thread, where what it waits for arrives: this one would have to be woken for every message.
    tokio::spawn(worker.run()).await.context("ended by a panic")?;
    tracing.finish().await;
    Ok(())
}

/// Cancelled by SIGTERM or SIGINT.
fn stop_on_signal() -> anyhow::Result<CancellationToken> {
    let stopping = CancellationToken::new();
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let signalled = stopping.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        signalled.cancel();
    });
    Ok(stopping)
}
