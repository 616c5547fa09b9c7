#![expect(unsafe_code, reason = "V8 and the kernel are reached here, and nowhere else in the workspace")]

//! Sandbox process: one isolate per run, locked down before any script runs.
//!
//! Invariants: a script has no effect outside of its process. No data of one run is visible to the next. Native code
//! reads the end of a run from V8, and it never passes through objects that a script can modify.
//!
//! The process has two threads. The main thread reads the socket, so that `Terminate` and the end of the supervisor are
//! noticed while a script spins. The other one runs V8 and is the only one that writes. (V8 reads the bounds of its
//! stack whenever it creates an isolate, and on the main thread of a process glibc gets them from `/proc`.)

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
mod request_body;
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

/// Folder with the `node_modules` from which the runtime was bundled. Tests run the same packages in Node.
#[doc(hidden)]
pub const RUNTIME_MODULES: &str = env!("RUNTIME_MODULES");
