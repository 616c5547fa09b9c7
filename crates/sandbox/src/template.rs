//! Template process: locks itself down, prepares an isolate, and then makes a copy of itself for every run.
//!
//! Invariants: no script runs in the template, and it reads nothing from its copies. A copy has the template's memory
//! as it was when the isolate was ready, one thread, and a socket of its own. It seeds V8's random numbers anew.

use crate::{
    child::{self, Runner},
    fork::{self, Forked},
    isolate::FreshIsolate,
    lockdown::Lockdown,
    platform,
    termination::Termination,
    warm_up,
};
use sandbox_protocol::{EXIT_SETUP, FromSandbox, write_message};
use std::{os::unix::net::UnixStream, sync::Arc, thread};

/// Runs a template on the socket at standard input until the supervisor ends it. Never returns.
///
/// Call it first in a process of its own, of which it takes complete control.
pub fn run_template() -> ! {
    platform::configure_allocator();
    let lockdown = Lockdown::enter_template();
    let control = child::standard_input();
    let Some((memory_bytes, snapshot)) = child::prepare(&control) else { platform::exit(EXIT_SETUP) };
    let template =
        Template { snapshot: Box::leak(snapshot.into_boxed_slice()), memory_bytes, lockdown, control };
    // V8 does not run on the main thread, whose stack glibc can't measure here. The copies have no main thread.
    child::spawn_v8(|| template.serve());
    loop {
        thread::park();
    }
}

struct Template {
    snapshot: &'static [u8],
    memory_bytes: usize,
    lockdown: Lockdown,
    control: UnixStream,
}

impl Template {
    fn serve(mut self) -> ! {
        platform::initialize();
        let termination = Arc::new(Termination::default());
        let Ok(mut fresh) = FreshIsolate::new(self.snapshot, self.memory_bytes, &termination) else {
            platform::exit(EXIT_SETUP)
        };
        warm_up::warm_up(&mut fresh);
        warm_up::rehearse(&mut fresh);
        termination.arm(fresh.isolate.thread_safe_handle());
        let thread_id = fork::thread_id_address();
        if !self.lockdown.seal_template(self.memory_bytes) {
            platform::exit(EXIT_SETUP);
        }
        let ready = FromSandbox::Ready { layers: self.lockdown.layers() };
        if write_message(&mut &self.control, &ready).is_err() {
            platform::exit(0);
        }
        fork::include_all_memory();
        while let Some(socket) = fork::receive(&self.control) {
            // SAFETY: the address is from this thread, and the main thread only parks.
            let answered = match unsafe { fork::fork(thread_id) } {
                Ok(Forked::Child) => {
                    let Some(socket) = fork::adopt(&socket) else { platform::exit(EXIT_SETUP) };
                    let runner =
                        Runner::new(self.snapshot, self.memory_bytes, self.lockdown, termination, socket);
                    runner.run_forked(fresh)
                }
                Ok(Forked::Template { pid, pidfd }) => {
                    drop(socket);
                    fork::answer(&self.control, Some((pid, &pidfd)))
                }
                Err(_) => fork::answer(&self.control, None),
            };
            if !answered {
                break;
            }
        }
        platform::exit(0)
    }
}
