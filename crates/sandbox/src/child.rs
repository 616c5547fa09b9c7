//! Life cycle of the sandbox process: locks down, prepares an isolate, then executes one run after another.

use crate::{
    event_queue::{EventQueue, SandboxEvent, WaitResult},
    isolate::FreshIsolate,
    lockdown::Lockdown,
    platform, script_run,
    termination::Termination,
};
use sandbox_protocol::{EXIT_SETUP, FromSandbox, Job, ToSandbox, decode, read_frame, write_message};
use std::{
    os::{
        fd::{FromRawFd, OwnedFd},
        unix::net::UnixStream,
    },
    rc::Rc,
    sync::Arc,
    thread,
};

/// Stack of the thread that runs V8, in bytes. V8 stops scripts at about 1 MB.
const STACK_BYTES: usize = 4 * 1024 * 1024;
/// Descriptor of the socket to the supervisor: standard input.
const SOCKET: i32 = 0;

/// Runs a sandbox process on the socket at standard input until the supervisor ends it. Never returns.
///
/// Call it first in a process of its own, of which it takes complete control.
pub fn run_child() -> ! {
    platform::configure_allocator();
    let lockdown = Lockdown::enter();
    // SAFETY: the supervisor started this process with the socket as descriptor 0, which nothing else owns.
    let socket = Arc::new(UnixStream::from(unsafe { OwnedFd::from_raw_fd(SOCKET) }));
    let Some((memory_bytes, snapshot)) = prepare(&socket) else { platform::exit(EXIT_SETUP) };
    let termination = Arc::new(Termination::default());
    let events = Arc::new(EventQueue::default());
    let runner = Runner {
        snapshot: Box::leak(snapshot.into_boxed_slice()),
        memory_bytes,
        lockdown,
        termination: Arc::clone(&termination),
        events: Arc::clone(&events),
        socket: Arc::clone(&socket),
    };
    let started =
        thread::Builder::new().name("v8".to_owned()).stack_size(STACK_BYTES).spawn(|| runner.serve());
    if started.is_err() {
        platform::exit(EXIT_SETUP);
    }
    read(&socket, &termination, &events)
}

/// Reads the supervisor's first two frames: the memory limit and the snapshot.
fn prepare(socket: &UnixStream) -> Option<(usize, Vec<u8>)> {
    let first = read_frame(&mut &*socket).ok()?;
    let Ok(ToSandbox::Prepare { memory_bytes }) = serde_json::from_slice(&first) else { return None };
    Some((memory_bytes, read_frame(&mut &*socket).ok()?))
}

/// Reads messages until the supervisor closes the socket, then exits the process.
fn read(socket: &UnixStream, termination: &Termination, events: &EventQueue) -> ! {
    loop {
        let Ok(mut payload) = read_frame(&mut &*socket) else { platform::exit(0) };
        match decode(&payload) {
            Ok((ToSandbox::Execute(job), _)) => events.push(SandboxEvent::Execute(job)),
            Ok((ToSandbox::SendBody { id }, _)) => events.push(SandboxEvent::SendBody { id }),
            Ok((ToSandbox::FetchDone { id, answer }, start)) => {
                let body = payload.split_off(start);
                events.push(SandboxEvent::FetchDone { id, answer, body });
            }
            Ok((ToSandbox::Terminate { code }, _)) => {
                termination.stop(code);
                events.wake();
            }
            Ok((ToSandbox::Prepare { .. }, _)) | Err(_) => platform::exit(EXIT_SETUP),
        }
    }
}

/// Thread that runs V8.
struct Runner {
    snapshot: &'static [u8],
    memory_bytes: usize,
    lockdown: Lockdown,
    termination: Arc<Termination>,
    events: Arc<EventQueue>,
    socket: Arc<UnixStream>,
}

impl Runner {
    fn serve(mut self) -> ! {
        platform::initialize();
        platform::warm_up(&mut self.fresh());
        self.lockdown.seal(self.memory_bytes);
        loop {
            let mut fresh = self.fresh();
            self.termination.arm(fresh.isolate.thread_safe_handle());
            self.send(&FromSandbox::Ready { layers: self.lockdown.layers() });
            let job: Rc<Job> = Rc::from(self.next_job());
            // The isolate was prepared for the usual limit. A job with another limit gets a new isolate.
            if fresh.memory_bytes() != job.limits.memory_bytes {
                self.memory_bytes = job.limits.memory_bytes;
                drop(fresh);
                fresh = self.fresh();
                self.termination.retarget(fresh.isolate.thread_safe_handle());
            }
            let (end, usage) =
                script_run::execute(&mut fresh, &job, &self.termination, &self.events, &self.socket);
            self.send(&FromSandbox::Finished { end, usage });
        }
    }

    /// Waits for the next job. Drops late responses to fetches of the last run.
    fn next_job(&self) -> Box<Job> {
        loop {
            if let WaitResult::Event(SandboxEvent::Execute(job)) = self.events.wait(None) {
                return job;
            }
        }
    }

    fn fresh(&self) -> FreshIsolate {
        match FreshIsolate::new(self.snapshot, self.memory_bytes, &self.termination) {
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
