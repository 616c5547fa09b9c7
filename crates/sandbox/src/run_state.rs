//! What one run has going on outside its heap: console budget, timers, fetches, source maps.
//!
//! Reached from V8's callbacks through the isolate's slot. No borrow outlives the method that takes it, and no
//! method calls into JavaScript.

use crate::platform;
use builder::{Position, SourceMap};
use sandbox_protocol::{FromSandbox, Job, write_message};
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

/// Resource name of the script, in stack traces too.
pub(super) const SCRIPT: &str = "script";
/// What stands before a function's name in its resource name.
pub(super) const FUNCTION_PREFIX: &str = "Functions.";
/// Most promises kept for the report of unhandled rejections between two turns.
const MOST_REJECTIONS: usize = 100;

/// Cancelled timers that are kept before the queue is cleared of them.
const MOST_CANCELLED: usize = 1_024;

/// The state of the run that the isolate was made for.
pub(super) struct Run {
    began: Instant,
    job: Rc<Job>,
    socket: Arc<UnixStream>,
    lines_left: Cell<usize>,
    bytes_left: Cell<usize>,
    fetches: Cell<u32>,
    timers: RefCell<Timers>,
    /// Read when first asked for: most runs throw nothing.
    maps: RefCell<HashMap<String, Option<SourceMap>>>,
    rejections: RefCell<Vec<v8::Global<v8::Promise>>>,
    uncaught: RefCell<Option<v8::Global<v8::Value>>>,
}

#[derive(Default)]
struct Timers {
    /// By moment, then in the order they were started.
    queue: BinaryHeap<Reverse<(Instant, u64, u32)>>,
    active: HashMap<u32, u64>,
    started: u64,
}

impl Run {
    pub(super) fn new(job: Rc<Job>, socket: Arc<UnixStream>) -> Self {
        let limits = job.limits;
        Self {
            began: Instant::now(),
            job,
            socket,
            // One more than allowed: the supervisor sees the overflow, says so, and drops it.
            lines_left: Cell::new(limits.log_lines.saturating_add(1)),
            bytes_left: Cell::new(limits.log_bytes.saturating_add(1)),
            fetches: Cell::new(0),
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

    /// Sends a message; without a supervisor there is nothing left to do.
    pub(super) fn send(&self, message: &FromSandbox) {
        if write_message(&mut &*self.socket, message).is_err() {
            platform::exit(0);
        }
    }

    /// Sends a console line while the budget lasts. `text` is told how many UTF-16 units may matter.
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

    /// Counts a fetch; false when the run has had all of its.
    pub(super) fn take_fetch(&self) -> bool {
        let taken = self.fetches.get();
        let allowed = taken < self.job.limits.fetches;
        if allowed {
            self.fetches.set(taken + 1);
        }
        allowed
    }

    /// How many fetches were started.
    pub(super) fn fetches(&self) -> u32 {
        self.fetches.get()
    }

    pub(super) fn start_timer(&self, id: u32, delay: Duration) {
        let mut timers = self.timers.borrow_mut();
        timers.started += 1;
        let started = timers.started;
        timers.active.insert(id, started);
        timers.queue.push(Reverse((Instant::now() + delay, started, id)));
        // Cancelled ones stay until they are due, but never more than the live ones and some.
        if timers.queue.len() > 2 * timers.active.len() + MOST_CANCELLED {
            let Timers { queue, active, .. } = &mut *timers;
            queue.retain(|Reverse((_, started, id))| active.get(id) == Some(started));
        }
    }

    pub(super) fn cancel_timer(&self, id: u32) {
        self.timers.borrow_mut().active.remove(&id);
    }

    /// When the next timer is due.
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

    /// Takes the next timer that is due.
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

    /// The code of one of this run's texts, by the resource name it was compiled under.
    fn unit(&self, name: &str) -> Option<&str> {
        match name.strip_prefix(FUNCTION_PREFIX) {
            Some(function) => self.job.functions.get(function).map(String::as_str),
            None => (name == SCRIPT).then_some(&self.job.build),
        }
    }

    /// Whether a resource name is one of this run's texts.
    pub(super) fn is_unit(&self, name: &str) -> bool {
        self.unit(name).is_some()
    }

    /// The author's position of a generated one (all 1-based); `None` in code that no author wrote.
    pub(super) fn original(&self, unit: &str, line: u32, column: u32) -> Option<(u32, u32)> {
        let code = self.unit(unit)?;
        let mut maps = self.maps.borrow_mut();
        let map = maps.entry(unit.to_owned()).or_insert_with(|| SourceMap::of_build(code));
        let Some(map) = map else { return Some((line, column)) };
        let generated = Position { line: line.checked_sub(1)?, column: column.checked_sub(1)? };
        let original = map.original(generated)?;
        Some((original.line.saturating_add(1), original.column.saturating_add(1)))
    }

    pub(super) fn note_rejection(&self, promise: v8::Global<v8::Promise>) {
        let mut rejections = self.rejections.borrow_mut();
        if rejections.len() < MOST_REJECTIONS {
            rejections.push(promise);
        }
    }

    /// Promises that were rejected since the last call; some may have a handler by now.
    pub(super) fn take_rejections(&self) -> Vec<v8::Global<v8::Promise>> {
        std::mem::take(&mut self.rejections.borrow_mut())
    }

    /// Keeps what was thrown where nobody could catch it; the first one ends the run.
    pub(super) fn note_uncaught(&self, thrown: v8::Global<v8::Value>) {
        self.uncaught.borrow_mut().get_or_insert(thrown);
    }

    pub(super) fn has_uncaught(&self) -> bool {
        self.uncaught.borrow().is_some()
    }

    pub(super) fn take_uncaught(&self) -> Option<v8::Global<v8::Value>> {
        self.uncaught.borrow_mut().take()
    }
}
