//! The parent of the sandbox processes: a pool of slots, each with a ready child.
//!
//! Invariants: V8 never runs here; what a child says is untrusted; every run ends within its limits plus half
//! a second of its beginning, whatever the child does, or the reader of its console lines; a child that ended badly is never used again.

pub mod egress;
pub mod fetch;
mod frame_writer;
mod logs;
mod masking;
mod pool;
mod run;
mod sandbox_process;

pub use pool::{Pool, PoolConfig, PoolStatus, Slot, StartError};
pub use run::RunContext;
pub use sandbox_process::{SpawnError, StrictError};
