#![expect(unsafe_code, reason = "V8 and the kernel are reached here, and nowhere else in the workspace")]

//! The child process: one isolate per run, locked down before any script.
//!
//! Invariants: nothing a script does reaches beyond its process; nothing of one run is visible to the next;
//! how a run ended is read from V8 by native code and never travels through anything a script can touch.
//!
//! Two threads. The main one reads the socket, so that `Terminate` and the supervisor's end are seen while a
//! script spins; the other one runs V8 and is the only one that writes. (V8 asks for the bounds of its stack
//! whenever it makes an isolate, and glibc answers that from `/proc` on a process's main thread only.)

mod allocator;
mod child;
mod event_loop;
mod event_queue;
mod isolate;
mod json;
mod lockdown;
mod memory;
mod ops;
mod platform;
#[cfg(debug_assertions)]
mod probe;
mod random;
mod run_state;
mod script_run;
mod seccomp;
mod snapshot;
mod stack;
mod termination;
mod text;

pub use child::run_child;
#[cfg(debug_assertions)]
pub use probe::run_probe;
pub use snapshot::{SnapshotError, write_snapshot};

/// Folder whose `node_modules` the runtime was bundled from. Tests run the same packages under Node.
#[doc(hidden)]
pub const RUNTIME_MODULES: &str = env!("RUNTIME_MODULES");
