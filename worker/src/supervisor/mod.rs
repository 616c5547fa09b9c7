//! Parent of the sandbox processes: a pool of slots, each with a ready process.
//!
//! Invariants:
//! - V8 never runs here.
//! - Messages of a sandbox process are untrusted.
//! - Every run ends within its limits plus half a second of its beginning, whatever its process or the reader of its console
//!   lines does.
//! - No process has two runs.

pub(crate) mod egress;
pub(crate) mod fetch;
mod frame_writer;
mod launcher;
mod logs;
mod masking;
mod pool;
mod process;
mod run;
mod sandbox_process;
mod template;

pub use launcher::LaunchMode;
pub use pool::{Pool, PoolConfig, PoolStartError, Slot};
pub use run::RunContext;
pub use sandbox_process::SpawnError;
