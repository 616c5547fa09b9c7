//! The child's whole life: lock down, prepare, then run after run.

use crate::{
    event_queue::{Delivery, Inbox, Waited},
    isolate::FreshIsolate,
    lockdown::Lockdown,
    platform, script_run,
    termination::Halt,
};
use sandbox_protocol::{EXIT_SETUP, FromSandbox, Job, ToSandbox, read_frame, write_message};
use std::{
    os::{
        fd::{FromRawFd, OwnedFd},
        unix::net::UnixStream,
    },
    rc::Rc,
    sync::Arc,
    thread,
};

/// Stack of the thread that runs V8; V8 itself stops scripts at about 1 MB.
const STACK_BYTES: usize = 4 * 1024 * 1024;
/// The socket to the supervisor: standard input.
const SOCKET: i32 = 0;

/// Runs a sandbox process on the socket at standard input, until the supervisor ends it. Never returns.
///
/// To be called first thing in a process of its own: it takes over all of it.
pub fn run_child() -> ! {
    platform::configure_allocator();
    let lockdown = Lockdown::enter();
    // SAFETY: the supervisor started this process with the socket as descriptor 0, which nothing else owns.
    let socket = Arc::new(UnixStream::from(unsafe { OwnedFd::from_raw_fd(SOCKET) }));
    let Some((memory_bytes, snapshot)) = prepare(&socket) else { platform::exit(EXIT_SETUP) };
    let halt = Arc::new(Halt::default());
    let inbox = Arc::new(Inbox::default());
    let runner = Runner {
        snapshot: Box::leak(snapshot.into_boxed_slice()),
        memory_bytes,
        lockdown,
        halt: Arc::clone(&halt),
        inbox: Arc::clone(&inbox),
        socket: Arc::clone(&socket),
    };
    let started =
        thread::Builder::new().name("v8".to_owned()).stack_size(STACK_BYTES).spawn(|| runner.serve());
    if started.is_err() {
        platform::exit(EXIT_SETUP);
    }
    read(&socket, &halt, &inbox)
}

/// The supervisor's first two frames.
fn prepare(socket: &UnixStream) -> Option<(usize, Vec<u8>)> {
    let first = read_frame(&mut &*socket).ok()?;
    let Ok(ToSandbox::Prepare { memory_bytes }) = serde_json::from_slice(&first) else { return None };
    Some((memory_bytes, read_frame(&mut &*socket).ok()?))
}

/// Reads until the supervisor is gone, and ends the process with it.
fn read(socket: &UnixStream, halt: &Halt, inbox: &Inbox) -> ! {
    loop {
        let Ok(payload) = read_frame(&mut &*socket) else { platform::exit(0) };
        match serde_json::from_slice(&payload) {
            Ok(ToSandbox::Execute(job)) => inbox.push(Delivery::Execute(job)),
            Ok(ToSandbox::FetchDone { id, answer }) => inbox.push(Delivery::FetchDone { id, answer }),
            Ok(ToSandbox::Terminate { code }) => {
                halt.stop(code);
                inbox.wake();
            }
            Ok(ToSandbox::Prepare { .. }) | Err(_) => platform::exit(EXIT_SETUP),
        }
    }
}

/// The thread that runs V8.
struct Runner {
    snapshot: &'static [u8],
    memory_bytes: usize,
    lockdown: Lockdown,
    halt: Arc<Halt>,
    inbox: Arc<Inbox>,
    socket: Arc<UnixStream>,
}

impl Runner {
    fn serve(mut self) -> ! {
        platform::initialize();
        platform::warm_up(&mut self.fresh());
        self.lockdown.seal(self.memory_bytes);
        loop {
            let mut fresh = self.fresh();
            self.halt.arm(fresh.isolate.thread_safe_handle());
            self.send(&FromSandbox::Ready { layers: self.lockdown.layers() });
            let job: Rc<Job> = Rc::from(self.next_job());
            // The spare was made for the usual limit; a job with another one gets an isolate of its own.
            if fresh.memory_bytes() != job.limits.memory_bytes {
                self.memory_bytes = job.limits.memory_bytes;
                drop(fresh);
                fresh = self.fresh();
                self.halt.aim(fresh.isolate.thread_safe_handle());
            }
            let (end, usage) = script_run::execute(&mut fresh, &job, &self.halt, &self.inbox, &self.socket);
            self.send(&FromSandbox::Finished { end, usage });
        }
    }

    /// Answers to fetches of the last run may still come in; nobody waits for them.
    fn next_job(&self) -> Box<Job> {
        loop {
            if let Waited::Delivered(Delivery::Execute(job)) = self.inbox.wait(None) {
                return job;
            }
        }
    }

    fn fresh(&self) -> FreshIsolate {
        match FreshIsolate::new(self.snapshot, self.memory_bytes, &self.halt) {
            Ok(fresh) => fresh,
            Err(_) => platform::exit(EXIT_SETUP),
        }
    }

    fn send(&self, message: &FromSandbox) {
        if write_message(&mut &*self.socket, message).is_err() {
            platform::exit(0);
        }
    }
}
