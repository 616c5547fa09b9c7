//! Command line: `worker serve`, and the commands that `serve` starts itself, `worker sandbox`, `worker template`
//! and `worker snapshot`.

use anyhow::Context;
use clap::{Parser, Subcommand};
use shared::{
    config::EnvReader,
    process,
    telemetry::{self, Settings, logs, traces},
};
use std::process::ExitCode;
use worker::{Config, Worker};

/// Takes executions from the broker and runs each in a sandbox process.
///
/// Settings are environment variables: see docs/configuration.md.
#[derive(Debug, Parser)]
#[command(name = "worker", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run executions until SIGTERM or SIGINT, then drain
    Serve,
    /// Be a sandbox process on the socket at standard input; started by `serve`
    #[command(hide = true)]
    Sandbox,
    /// Be a template of sandbox processes on the socket at standard input; started by `serve`
    #[command(hide = true)]
    Template,
    /// Write the startup snapshot of the sandboxes to standard output; started by `serve`
    #[command(hide = true)]
    Snapshot,
}

fn main() -> ExitCode {
    // A sandbox process must not inherit a runtime, a logger or anything else that is set up below.
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["sandbox"] => sandbox::run_child(),
        ["template"] => sandbox::run_template(),
        #[cfg(debug_assertions)]
        ["sandbox-probe", ..] => sandbox::run_probe(&arguments[1..]),
        _ => {}
    }
    let result = match Cli::parse().command {
        Command::Serve => serve(),
        Command::Snapshot => {
            sandbox::write_snapshot(&mut std::io::stdout().lock()).context("the snapshot can't be written")
        }
        Command::Sandbox | Command::Template => unreachable!("they run before the arguments are parsed"),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("worker: {error:#}");
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
    let mut environment = EnvReader::from_process();
    let settings = Settings::read_from(&mut environment);
    let config = Config::read(environment)?;
    logs::init(&settings)?.toggle_on_signal()?;
    let metrics = telemetry::install_metrics()?;
    let tracing = traces::init(&settings, "runnerctl-worker")?;
    let stopping = process::stop_on_signal()?;
    let worker = Worker::start(config, stopping, metrics).await.context("can't start")?;
    // Spawned, so that it runs on a runtime thread rather than the main thread: saves one cross-thread wake-up per message
    // (0.35 ms of the p50 from POST to run).
    tokio::spawn(worker.run()).await.context("ended by a panic")?;
    tracing.finish().await;
    Ok(())
}
