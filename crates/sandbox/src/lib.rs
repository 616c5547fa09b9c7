#![expect(unsafe_code, reason = "V8 and the kernel are reached here, and nowhere else in the workspace")]

//! Sandbox process: serves one run, locked down before any script runs.
//!
//! Invariants: a script has no effect outside of its process. No process has two runs. Native code
//! reads the end of a run from V8, and it never passes through objects that a script can modify.
//!
//! A template process makes the others as copies of itself: see `template`.
//!
//! A sandbox process has two threads. One reads the socket, so that `Terminate` and the end of the supervisor are
//! noticed while a script spins. The other one runs V8 and is the only one that writes. It was never the main thread of
//! a program: V8 reads the bounds of its stack whenever it creates an isolate, and glibc gets those of a main thread
//! from `/proc`.

mod allocator;
mod child;
mod event_loop;
mod event_queue;
mod fork;
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
mod template;
mod termination;
mod text;
mod warm_up;

pub use child::run_child;
#[cfg(debug_assertions)]
pub use probe::run_probe;
pub use snapshot::{SnapshotError, write_snapshot};
pub use template::run_template;

/// Folder with the `node_modules` from which the runtime was bundled. Tests run the same packages in Node.
#[doc(hidden)]
pub const RUNTIME_MODULES: &str = env!("RUNTIME_MODULES");
