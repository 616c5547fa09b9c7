//! The `api` program.

use anyhow::bail;
use api::{
    cli::{
        dead_letters, fixtures, keys, migrate, reencrypt, serve,
        workspaces::{self, erase},
    },
    config::Config,
};
use shared::{
    config::Environment,
    telemetry::{self, Settings, logs, traces},
};

/// Checking a script makes thousands of small allocations, all freed together: a tenth of its time with the system's allocator
/// (the benchmark of the builder has it, too).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const USAGE: &str = "usage: api <command>

  serve                    serve HTTP and relay executions to the broker
  migrate                  bring the schema to what this build expects
  loaddata FILE...         bring system functions and scripts to what fixtures say
  keys create --workspace SLUG [--scopes read,write,execute] [--name NAME]
                           make an API key and print it, once
  workspaces set --workspace SLUG [--weight 1..100] [--concurrency N]
                           a workspace's share of the workers; --concurrency 0 takes its own limit away
  workspaces erase --workspace SLUG
                           delete everything a workspace has, for good
  dead-letters list | show ID | requeue ID... | drop ID...
                           messages nobody could handle
  reseal                   seal every secret with the first key of ENCRYPTION_KEY, to drop an older one";

fn main() -> anyhow::Result<()> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_stack_size(builder::THREAD_STACK_BYTES)
        .build()?
        .block_on(run())
}

async fn run() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut environment = Environment::of_process();
    if let ["help" | "--help" | "-h"] | [] = words[..] {
        println!("{USAGE}");
        return Ok(());
    }
    if let ["--version" | "-V"] = words[..] {
        println!("api {}", env!("CARGO_PKG_VERSION"));
        return Ok(());
    }
    let settings = Settings::read_from(&mut environment);
    let log_control = logs::init(&settings)?;
    match words[..] {
        ["serve"] => {
            let config = Config::read(environment)?;
            log_control.toggle_on_signal()?;
            let metrics = telemetry::install_metrics()?;
            let tracing = traces::init(&settings, "runnerctl-api")?;
            let served = serve::run(config, metrics).await;
            tracing.finish().await;
            served
        }
        ["migrate"] => migrate::run(environment).await,
        ["reseal"] => reencrypt::run(environment).await,
        ["loaddata", ..] => fixtures::run(environment, &arguments[1..]).await,
        ["dead-letters", ..] => dead_letters::run(environment, &arguments[1..]).await,
        ["workspaces", "set", ..] => workspaces::set(environment, &arguments[2..]).await,
        ["workspaces", "erase", ..] => erase::erase(environment, &arguments[2..]).await,
        ["keys", "create", ..] => keys::create(environment, &arguments[2..]).await,
        _ => bail!("unknown command\n{USAGE}"),
    }
}
