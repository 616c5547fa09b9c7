//! Parent of the sandbox processes: a pool of slots, each with a ready process.
//!
//! Invariants:
//! - V8 never runs here.
//! - Messages of a sandbox process are untrusted.
//! - Every run ends within its limits plus half a second of its beginning, whatever its process or the reader of its console
//!   lines does.
//! - A process that ended badly is never used again.

pub(crate) mod egress;
pub(crate) mod fetch;
mod frame_writer;
mod logs;
mod masking;
mod pool;
mod run;
mod sandbox_process;

pub(crate) use pool::Slot;
pub use pool::{Pool, PoolConfig, PoolStartError};
pub use run::RunContext;
pub use sandbox_process::SpawnError;
