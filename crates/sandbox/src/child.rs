//! Life cycle of a sandbox process: locks down, prepares an isolate, executes one run and exits.
//!
//! The process was made by a template, with an isolate that is ready, or it was started as such and prepares
//! its own.

use crate::{
    event_queue::{EventQueue, SandboxEvent, WaitResult},
    isolate::FreshIsolate,
    lockdown::Lockdown,
    platform, random, script_run,
    termination::Termination,
    warm_up,
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
const V8_STACK_BYTES: usize = 4 * 1024 * 1024;
/// Stack of the thread that reads the socket, in bytes.
const READER_STACK_BYTES: usize = 256 * 1024;
/// Descriptor of the socket to the supervisor: standard input.
const SOCKET: i32 = 0;

/// Runs a sandbox process on the socket at standard input, for one job. Never returns.
///
/// Call it first in a process of its own, of which it takes complete control.
pub fn run_child() -> ! {
    platform::configure_allocator();
    let lockdown = Lockdown::enter();
    let socket = standard_input();
    let Some((memory_bytes, snapshot)) = prepare(&socket) else { platform::exit(EXIT_SETUP) };
    let termination = Arc::new(Termination::default());
    let snapshot = Box::leak(snapshot.into_boxed_slice());
    let runner = Runner::new(snapshot, memory_bytes, lockdown, termination, socket);
    let reader = runner.reader();
    spawn_v8(|| runner.run_started());
    reader.read()
}

/// Returns the socket with which the supervisor started this process.
pub(super) fn standard_input() -> UnixStream {
    // SAFETY: the supervisor started this process with the socket as descriptor 0, which nothing else owns.
    UnixStream::from(unsafe { OwnedFd::from_raw_fd(SOCKET) })
}

/// Starts the thread that runs V8.
pub(super) fn spawn_v8(work: impl FnOnce() + Send + 'static) {
    if thread::Builder::new().name("v8".to_owned()).stack_size(V8_STACK_BYTES).spawn(work).is_err() {
        platform::exit(EXIT_SETUP);
    }
}

/// Reads the supervisor's first two frames: the memory limit and the snapshot.
pub(super) fn prepare(socket: &UnixStream) -> Option<(usize, Vec<u8>)> {
    let first = read_frame(&mut &*socket).ok()?;
    let Ok(ToSandbox::Prepare { memory_bytes }) = serde_json::from_slice(&first) else { return None };
    Some((memory_bytes, read_frame(&mut &*socket).ok()?))
}

/// Thread that reads the socket.
struct Reader {
    socket: Arc<UnixStream>,
    termination: Arc<Termination>,
    events: Arc<EventQueue>,
}

impl Reader {
    /// Reads messages until the supervisor closes the socket, then exits the process.
    fn read(&self) -> ! {
        loop {
            let Ok(mut payload) = read_frame(&mut &*self.socket) else { platform::exit(0) };
            match decode(&payload) {
                Ok((ToSandbox::Execute(job), _)) => self.events.push(SandboxEvent::Execute(job)),
                Ok((ToSandbox::SendBody { id }, _)) => self.events.push(SandboxEvent::SendBody { id }),
                Ok((ToSandbox::FetchDone { id, answer }, start)) => {
                    let body = payload.split_off(start);
                    self.events.push(SandboxEvent::FetchDone { id, answer, body });
                }
                Ok((ToSandbox::Terminate { code }, _)) => {
                    self.termination.stop(code);
                    self.events.wake();
                }
                Ok((ToSandbox::Prepare { .. }, _)) | Err(_) => platform::exit(EXIT_SETUP),
            }
        }
    }
}

/// Thread that runs V8.
pub(super) struct Runner {
    snapshot: &'static [u8],
    memory_bytes: usize,
    lockdown: Lockdown,
    termination: Arc<Termination>,
    events: Arc<EventQueue>,
    socket: Arc<UnixStream>,
}

impl Runner {
    pub(super) fn new(
        snapshot: &'static [u8],
        memory_bytes: usize,
        lockdown: Lockdown,
        termination: Arc<Termination>,
        socket: UnixStream,
    ) -> Self {
        let (events, socket) = (Arc::default(), Arc::new(socket));
        Self { snapshot, memory_bytes, lockdown, termination, events, socket }
    }

    /// Executes the run of a process that a template made, whose isolate is ready.
    pub(super) fn run_forked(mut self, mut fresh: FreshIsolate) -> ! {
        if !random::reseed(&mut fresh.isolate) {
            platform::exit(EXIT_SETUP);
        }
        self.lockdown.enter_forked();
        let reader = self.reader();
        let read = move || {
            reader.events.wake();
            reader.read()
        };
        // A thread with a name would make a system call more.
        if thread::Builder::new().stack_size(READER_STACK_BYTES).spawn(read).is_err() {
            platform::exit(EXIT_SETUP);
        }
        // The filter forbids what the start of a thread needs. There is no event but its own yet.
        self.events.wait(None);
        self.lockdown.seal_forked();
        self.run(fresh)
    }

    /// Executes the run of a process that was started as a sandbox.
    fn run_started(mut self) -> ! {
        platform::initialize();
        warm_up::warm_up(&mut self.fresh(self.memory_bytes));
        self.lockdown.seal(self.memory_bytes);
        let fresh = self.fresh(self.memory_bytes);
        self.termination.arm(fresh.isolate.thread_safe_handle());
        self.run(fresh)
    }

    fn run(self, mut fresh: FreshIsolate) -> ! {
        self.send(&FromSandbox::Ready { layers: self.lockdown.layers() });
        let job: Rc<Job> = Rc::from(self.next_job());
        // The isolate was prepared for the usual limit. A job with another limit gets a new isolate.
        if fresh.memory_bytes() != job.limits.memory_bytes {
            drop(fresh);
            fresh = self.fresh(job.limits.memory_bytes);
            self.termination.retarget(fresh.isolate.thread_safe_handle());
        }
        let (end, usage) =
            script_run::execute(&mut fresh, &job, &self.termination, &self.events, &self.socket);
        self.send(&FromSandbox::Finished { end, usage });
        // The kernel frees the memory faster than V8 could.
        platform::exit(0)
    }

    /// Waits for the job.
    fn next_job(&self) -> Box<Job> {
        loop {
            if let WaitResult::Event(SandboxEvent::Execute(job)) = self.events.wait(None) {
                return job;
            }
        }
    }

    fn fresh(&self, memory_bytes: usize) -> FreshIsolate {
        match FreshIsolate::new(self.snapshot, memory_bytes, &self.termination) {
            Ok(fresh) => fresh,
            Err(_) => platform::exit(EXIT_SETUP),
        }
    }

    fn reader(&self) -> Reader {
        let (socket, events) = (Arc::clone(&self.socket), Arc::clone(&self.events));
        Reader { socket, events, termination: Arc::clone(&self.termination) }
    }

    fn send(&self, message: &FromSandbox) {
        if write_message(&mut &*self.socket, message).is_err() {
            platform::exit(0);
        }
    }
}
