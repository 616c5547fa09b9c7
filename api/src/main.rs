//! The `api` program.

use api::Cli;
use clap::Parser;
use shared::config::EnvReader;

/// The global allocator. Building a script makes thousands of small allocations, all freed together, which take a tenth
/// of its time with the system's allocator. The benchmark of the builder uses the same one.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_stack_size(builder::THREAD_STACK_BYTES)
        .build()?
        .block_on(cli.run(EnvReader::from_process()))
}
