//! State of one run outside of V8's heap: console budget, timers, fetches, source maps.
//!
//! V8's callbacks access it through the isolate's slot. No borrow outlives the method that takes it, and no method
//! calls into JavaScript.

use crate::{platform, request_body::RequestBody};
use builder::{Position, SourceMap};
use sandbox_protocol::{FetchRequest, FromSandbox, Job, MAX_ATTACHED_REQUEST_BYTES, write_message};
use shared::{execution::LogLevel, limits::Limits};
use std::{
    cell::{Cell, RefCell},
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    os::unix::net::UnixStream,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

/// Resource name of the script, which also appears in stack traces.
pub(super) const SCRIPT: &str = "script";
/// Prefix of a function's name in its resource name.
pub(super) const FUNCTION_PREFIX: &str = "Functions.";
/// Maximum number of rejected promises kept for the report of unhandled rejections after a turn of the event loop.
const MAX_REJECTIONS: usize = 100;

/// Maximum number of cancelled timers in the queue, beyond the number of active ones, before they are removed.
const MAX_CANCELLED: usize = 1_024;

/// State of the isolate's run.
pub(super) struct RunState {
    began: Instant,
    job: Rc<Job>,
    socket: Arc<UnixStream>,
    lines_left: Cell<usize>,
    bytes_left: Cell<usize>,
    fetches: Cell<u32>,
    /// Bodies of requests that the supervisor may still ask for, by the id of the fetch.
    bodies: RefCell<HashMap<u32, RequestBody>>,
    timers: RefCell<Timers>,
    /// Source maps by resource name, parsed on first use: most runs throw nothing.
    maps: RefCell<HashMap<String, Option<SourceMap>>>,
    rejections: RefCell<Vec<v8::Global<v8::Promise>>>,
    uncaught: RefCell<Option<v8::Global<v8::Value>>>,
}

#[derive(Default)]
struct Timers {
    /// Timers by due time, then in the order of their start.
    queue: BinaryHeap<Reverse<(Instant, u64, u32)>>,
    active: HashMap<u32, u64>,
    started: u64,
}

impl RunState {
    pub(super) fn new(job: Rc<Job>, socket: Arc<UnixStream>) -> Self {
        let limits = job.limits;
        Self {
            began: Instant::now(),
            job,
            socket,
            // One more than allowed, so that the supervisor notices the overflow, reports it and drops the line.
            lines_left: Cell::new(limits.log_lines.saturating_add(1)),
            bytes_left: Cell::new(limits.log_bytes.saturating_add(1)),
            fetches: Cell::new(0),
            bodies: RefCell::default(),
            timers: RefCell::default(),
            maps: RefCell::default(),
            rejections: RefCell::default(),
            uncaught: RefCell::default(),
        }
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.job.limits
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Sends a message. Exits the process if the supervisor is gone.
    pub(super) fn send(&self, message: &FromSandbox) {
        if write_message(&mut &*self.socket, message).is_err() {
            platform::exit(0);
        }
    }

    /// Sends a console line while the budget lasts. `text` receives the maximum number of UTF-16 units that are used.
    pub(super) fn log(&self, level: LogLevel, text: impl FnOnce(usize) -> String) {
        let (lines, bytes) = (self.lines_left.get(), self.bytes_left.get());
        if lines == 0 || bytes == 0 {
            return;
        }
        let message = text(bytes);
        self.lines_left.set(lines - 1);
        self.bytes_left.set(bytes.saturating_sub(message.len()));
        self.send(&FromSandbox::Log { level, message });
    }

    /// Sends a request. Attaches a small body, and keeps a large one until the supervisor asks for it.
    pub(super) fn send_fetch(&self, id: u32, request: FetchRequest, body: Option<RequestBody>) {
        match body {
            Some(body) if body.bytes() <= MAX_ATTACHED_REQUEST_BYTES => {
                self.send_with_body(&FromSandbox::Fetch { id, request }, &body);
            }
            body => {
                self.send(&FromSandbox::Fetch { id, request });
                self.bodies.borrow_mut().extend(body.map(|body| (id, body)));
            }
        }
    }

    /// Sends the body of a request that has not been aborted.
    pub(super) fn send_body(&self, id: u32) {
        if let Some(body) = self.drop_body(id) {
            self.send_with_body(&FromSandbox::Body { id }, &body);
        }
    }

    /// Forgets the body of a request that is over, and returns it.
    pub(super) fn drop_body(&self, id: u32) -> Option<RequestBody> {
        self.bodies.borrow_mut().remove(&id)
    }

    fn send_with_body(&self, message: &FromSandbox, body: &RequestBody) {
        if body.write(message, &mut &*self.socket).is_err() {
            platform::exit(0);
        }
    }

    /// Counts a fetch. Returns false if the run has used all of its fetches.
    pub(super) fn take_fetch(&self) -> bool {
        let taken = self.fetches.get();
        let allowed = taken < self.job.limits.fetches;
        if allowed {
            self.fetches.set(taken + 1);
        }
        allowed
    }

    /// Returns the number of started fetches.
    pub(super) fn fetches(&self) -> u32 {
        self.fetches.get()
    }

    pub(super) fn start_timer(&self, id: u32, delay: Duration) {
        let mut timers = self.timers.borrow_mut();
        timers.started += 1;
        let started = timers.started;
        timers.active.insert(id, started);
        timers.queue.push(Reverse((Instant::now() + delay, started, id)));
        // Cancelled timers stay queued until they are due, but their number is bounded.
        if timers.queue.len() > 2 * timers.active.len() + MAX_CANCELLED {
            let Timers { queue, active, .. } = &mut *timers;
            queue.retain(|Reverse((_, started, id))| active.get(id) == Some(started));
        }
    }

    pub(super) fn cancel_timer(&self, id: u32) {
        self.timers.borrow_mut().active.remove(&id);
    }

    /// Returns the due time of the next timer.
    pub(super) fn next_timer(&self) -> Option<Instant> {
        let mut timers = self.timers.borrow_mut();
        loop {
            let &Reverse((due, started, id)) = timers.queue.peek()?;
            if timers.active.get(&id) == Some(&started) {
                return Some(due);
            }
            timers.queue.pop();
        }
    }

    /// Removes and returns the next timer that is due.
    pub(super) fn take_due_timer(&self) -> Option<u32> {
        let due = self.next_timer()?;
        if due > Instant::now() {
            return None;
        }
        let mut timers = self.timers.borrow_mut();
        let Reverse((_, _, id)) = timers.queue.pop()?;
        timers.active.remove(&id);
        Some(id)
    }

    /// Returns the code of one of this run's builds by its resource name.
    fn unit(&self, name: &str) -> Option<&str> {
        match name.strip_prefix(FUNCTION_PREFIX) {
            Some(function) => self.job.functions.get(function).map(String::as_str),
            None => (name == SCRIPT).then_some(&self.job.build),
        }
    }

    /// Returns whether a resource name belongs to a build of this run.
    pub(super) fn is_unit(&self, name: &str) -> bool {
        self.unit(name).is_some()
    }

    /// Converts a generated position to the author's position, both 1-based. `None` in code that the author did not
    /// write.
    pub(super) fn original(&self, unit: &str, line: u32, column: u32) -> Option<(u32, u32)> {
        let code = self.unit(unit)?;
        let mut maps = self.maps.borrow_mut();
        let map = maps.entry(unit.to_owned()).or_insert_with(|| SourceMap::of_build(code));
        let Some(map) = map else { return Some((line, column)) };
        let generated = Position { line: line.checked_sub(1)?, column: column.checked_sub(1)? };
        let original = map.original(generated)?;
        Some((original.line.saturating_add(1), original.column.saturating_add(1)))
    }

    pub(super) fn record_rejection(&self, promise: v8::Global<v8::Promise>) {
        let mut rejections = self.rejections.borrow_mut();
        if rejections.len() < MAX_REJECTIONS {
            rejections.push(promise);
        }
    }

    /// Removes and returns the promises that were rejected since the last call. Some may have a handler by now.
    pub(super) fn take_rejections(&self) -> Vec<v8::Global<v8::Promise>> {
        std::mem::take(&mut self.rejections.borrow_mut())
    }

    /// Records an exception that no caller could catch. The first one ends the run.
    pub(super) fn record_uncaught(&self, thrown: v8::Global<v8::Value>) {
        self.uncaught.borrow_mut().get_or_insert(thrown);
    }

    pub(super) fn has_uncaught(&self) -> bool {
        self.uncaught.borrow().is_some()
    }

    pub(super) fn take_uncaught(&self) -> Option<v8::Global<v8::Value>> {
        self.uncaught.borrow_mut().take()
    }
}
