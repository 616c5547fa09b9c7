//! Parent of the sandbox processes: a pool of slots, each with a ready process.
//!
//! Invariants:
//! - V8 never runs here.
//! - Messages of a sandbox process are untrusted.
//! - Every run ends within its limits plus half a second of its beginning, whatever its process or the reader of its console
//!   lines does.
//! - A process that ended badly is never used again.

pub mod egress;
pub mod fetch;
mod frame_writer;
mod logs;
mod masking;
mod pool;
mod run;
mod sandbox_process;

pub use pool::{Pool, PoolConfig, PoolStartError, PoolStatus, Slot};
pub use run::RunContext;
pub use sandbox_process::{SpawnError, StrictError};
