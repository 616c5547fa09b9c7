//! One run, from the parent's side: deadlines, console lines, fetches, memory, and how it ended.
//!
//! Invariant: the loop below waits for nothing that the child or the reader of its console lines could hold
//! up: a full pipe of lines stops the reading, never the clock.

mod conclusion;
mod lines;
mod verdict;

use super::{
    fetch::{Fetcher, RequestLine, RunPolicy},
    frame_writer::{Outgoing, send},
    logs::Logs,
    masking::beside,
    sandbox_process::Sandbox,
};
use sandbox_protocol::{FetchRequest, FromSandbox, Job, RunEnd, ToSandbox};
use shared::{
    execution::ErrorCode,
    limits::Limits,
    masking::Masker,
    outcome::{LogLine, Outcome, Usage},
};
use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::AsyncWriteExt as _,
    sync::mpsc,
    task::{AbortHandle, JoinSet},
    time::{Instant, interval_at, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;
use verdict::Decision;

/// How long a child may take to honour a deadline before it is killed.
const GRACE: Duration = Duration::from_millis(400);
/// How often resident memory is looked at.
const WATCH_INTERVAL: Duration = Duration::from_millis(50);
/// Resident memory a child may hold beside its run's limit: V8, code, garbage not yet collected, one frame
/// each way. A child at rest holds 27 MiB, 18 of them the binary's pages.
const RESIDENT_OVERHEAD_BYTES: usize = 128 * 1024 * 1024;

/// What a run needs beside its job.
pub struct RunContext {
    /// Hosts `fetch` may reach: exact, or `*.example.com`; optionally with a port.
    pub allowed_domains: Vec<String>,
    /// The workspace's token for Plane's API. Never enters the sandbox.
    pub plane_token: Option<String>,
    /// Cancels the run; it ends as `cancelled`.
    pub cancel: CancellationToken,
    /// Where console lines go, as they come. A full channel slows the script down.
    pub logs: mpsc::Sender<LogLine>,
    /// Number of the first console line: 1, or more after earlier attempts.
    pub first_log_seq: i32,
}

/// What became of a run, and of the child that had it.
pub(super) struct Ended {
    pub(super) outcome: Outcome,
    /// `None` when the child may be used again; else why not.
    pub(super) dirty: Option<&'static str>,
    /// The child was lost, for no reason of the script's, before anything of the run was seen, a fetch least of all: another
    /// child may have it.
    pub(super) untouched: bool,
}

/// Runs one job in a sandbox that is ready.
pub(super) async fn run(
    sandbox: &mut Sandbox,
    job: &Job,
    context: &RunContext,
    fetcher: &Arc<Fetcher>,
) -> Ended {
    let handed_over = Instant::now();
    // Before all that can be done while the child gets to work.
    let execute = hand_over(sandbox, job);
    let secrets = job.env.values().map(String::as_str).chain(context.plane_token.as_deref());
    let masker = Arc::new(Masker::new(secrets));
    let mut run = Run::new(sandbox, job, context, fetcher, &masker, handed_over);
    let end = run.until_end(execute).await;
    let (verdict, usage, dirty) = run.conclude(end).await;
    let untouched = run.untouched;
    let bytes = verdict::bytes(&verdict);
    let verdict = beside(&masker, bytes, move |masker| verdict::masked(verdict, masker)).await;
    Ended { outcome: Outcome { verdict, usage }, dirty, untouched }
}

/// Sends the job, as much of it as the socket takes at once. None if it is too long for a frame.
fn hand_over(sandbox: &Sandbox, job: &Job) -> Option<Outgoing> {
    let bytes = sandbox_protocol::encode(&ToSandbox::Execute(Box::new(job.clone()))).ok()?;
    // What it refuses now, it refuses again when the rest is written.
    let written = sandbox.writer.try_write(&bytes).unwrap_or(0);
    Some(Outgoing { bytes, written, ..Outgoing::default() })
}

/// A fetch that is over, with the encoded frame of its answer: encoding a large one is left to the fetch's thread as well.
struct Answered {
    id: u32,
    log: Vec<RequestLine>,
    frame: Outgoing,
}

/// Why the loop ended.
enum End {
    Finished(RunEnd, Usage),
    /// The child is gone, or must be.
    Gone,
}

struct Run<'a> {
    sandbox: &'a mut Sandbox,
    job: &'a Job,
    context: &'a RunContext,
    logs: Logs<'a>,
    masker: Arc<Masker>,
    /// When the child got the job.
    given_at: Instant,
    initialized: Option<Instant>,
    decision: Decision,
    kill_at: Option<Instant>,
    lines: VecDeque<LogLine>,
    fetcher: Arc<Fetcher>,
    policy: Arc<RunPolicy>,
    fetches: JoinSet<Answered>,
    fetching: HashMap<u32, AbortHandle>,
    fetch_count: u32,
    abort_count: u32,
    /// Whether the child has the whole job.
    handed_over: bool,
    untouched: bool,
    resident_peak: usize,
}

impl<'a> Run<'a> {
    fn new(
        sandbox: &'a mut Sandbox,
        job: &'a Job,
        context: &'a RunContext,
        fetcher: &Arc<Fetcher>,
        masker: &Arc<Masker>,
        given_at: Instant,
    ) -> Self {
        let policy = RunPolicy::new(&context.allowed_domains, context.plane_token.as_deref(), &job.limits);
        let logs = Logs::new(context.first_log_seq, &job.limits);
        Self {
            sandbox,
            job,
            context,
            logs,
            masker: Arc::clone(masker),
            given_at,
            initialized: None,
            decision: Decision::None,
            kill_at: None,
            lines: VecDeque::new(),
            fetcher: Arc::clone(fetcher),
            policy: Arc::new(policy),
            fetches: JoinSet::new(),
            fetching: HashMap::new(),
            fetch_count: 0,
            abort_count: 0,
            handed_over: false,
            untouched: false,
            resident_peak: 0,
        }
    }

    fn limits(&self) -> &'a Limits {
        &self.job.limits
    }

    /// When the present phase must be over, and how the run then ended.
    fn deadline(&self) -> (Instant, ErrorCode) {
        match self.initialized {
            None => (self.given_at + self.limits().init_timeout, ErrorCode::InitTimeout),
            Some(at) => (at + self.limits().execution_timeout, ErrorCode::Timeout),
        }
    }

    /// `execute` is the job on its way.
    async fn until_end(&mut self, execute: Option<Outgoing>) -> End {
        let Some(mut writing) = execute else {
            self.decision = Decision::Nonsense;
            return End::Gone;
        };
        // Room for one answer for each fetch allowed, and one `Terminate`: sending never waits.
        let room = usize::try_from(self.limits().fetches).unwrap_or(usize::MAX).saturating_add(1);
        let (outgoing, mut queue) = mpsc::channel::<Outgoing>(room.min(10_000));
        let mut watch = interval_at(Instant::now() + WATCH_INTERVAL, WATCH_INTERVAL);
        if writing.written == writing.bytes.len() {
            self.handed_over = true;
            writing = Outgoing::default();
        }
        loop {
            let stopping = self.kill_at.is_some();
            let (deadline, late) = self.deadline();
            let idle = writing.written == writing.bytes.len();
            tokio::select! {
                biased;
                () = sleep_until(self.kill_at.unwrap_or(deadline)), if stopping => return End::Gone,
                () = sleep_until(deadline), if !stopping => self.stop(late, &outgoing),
                () = self.context.cancel.cancelled(), if !stopping => self.stop(ErrorCode::Cancelled, &outgoing),
                _ = watch.tick() => if self.over_memory() {
                    self.decision = Decision::Memory;
                    return End::Gone;
                },
                permit = self.context.logs.reserve(), if !self.lines.is_empty() => match (permit, self.lines.pop_front()) {
                    (Ok(permit), Some(line)) => permit.send(line),
                    _ => self.lines.clear(),
                },
                frame = queue.recv(), if idle => writing = frame.unwrap_or_default(),
                written = self.sandbox.writer.write(&writing.bytes[writing.written..]), if !idle => match written {
                    Ok(bytes) if bytes > 0 => {
                        writing.written += bytes;
                        if writing.written == writing.bytes.len() {
                            // The job is the first frame.
                            self.handed_over = true;
                            writing = Outgoing::default();
                        }
                    }
                    _ => return End::Gone,
                },
                Some(done) = self.fetches.join_next() => if let Ok(answered) = done {
                    self.answer(answered, &outgoing).await;
                },
                message = self.sandbox.frames.next(), if self.lines.is_empty() => match message {
                    Ok(FromSandbox::Finished { end, usage }) => {
                        // An answer that nobody waits for any more, half sent: the rest must follow.
                        let rest = self.sandbox.writer.write_all(&writing.bytes[writing.written..]);
                        return match timeout(GRACE, rest).await {
                            Ok(Ok(())) => End::Finished(end, usage),
                            _ => End::Gone,
                        };
                    }
                    Ok(message) => if !self.take(message).await {
                        self.decision = Decision::Nonsense;
                        return End::Gone;
                    },
                    Err(sandbox_protocol::FrameError::Io(_)) => return End::Gone,
                    Err(_) => {
                        self.decision = Decision::Nonsense;
                        return End::Gone;
                    }
                },
            }
        }
    }

    /// Tells the child to stop, and sets the moment when it is killed.
    fn stop(&mut self, code: ErrorCode, outgoing: &mpsc::Sender<Outgoing>) {
        self.decision = Decision::Stop(code);
        self.kill_at = Some(Instant::now() + GRACE);
        send(outgoing, Outgoing::terminate(code));
    }

    fn over_memory(&mut self) -> bool {
        let resident = self.sandbox.resident_bytes().unwrap_or_default();
        self.resident_peak = self.resident_peak.max(resident);
        resident > self.limits().memory_bytes.saturating_add(RESIDENT_OVERHEAD_BYTES)
    }

    /// Takes a message; false when no honest child would have sent it.
    async fn take(&mut self, message: FromSandbox) -> bool {
        match message {
            FromSandbox::Initialized if self.initialized.is_none() => {
                self.initialized = Some(Instant::now());
                true
            }
            FromSandbox::Log { level, message } => self.line(level, message).await,
            FromSandbox::Fetch { id, request } => self.fetch(id, request),
            FromSandbox::FetchAborted { id } => {
                if let Some(fetch) = self.fetching.remove(&id) {
                    fetch.abort();
                }
                self.abort_count += 1;
                self.abort_count <= self.limits().fetches
            }
            FromSandbox::Initialized | FromSandbox::Ready { .. } | FromSandbox::Finished { .. } => false,
        }
    }

    fn fetch(&mut self, id: u32, request: FetchRequest) -> bool {
        self.fetch_count += 1;
        // The child counts too, and tells the script; one that does not is not ours.
        if self.fetch_count > self.limits().fetches || self.fetching.contains_key(&id) {
            return false;
        }
        let (fetcher, policy) = (Arc::clone(&self.fetcher), Arc::clone(&self.policy));
        let fetch = async move {
            let fetched = fetcher.perform(request, &policy).await;
            Answered { id, log: fetched.log, frame: Outgoing::answer(id, fetched.answer, fetched.hold) }
        };
        // The set aborts its tasks when it is dropped: no fetch outlives its run.
        let handle = self.fetches.spawn_on(fetch, self.fetcher.runtime());
        self.fetching.insert(id, handle);
        true
    }

    /// One line a request for the run's own log, then the answer.
    async fn answer(&mut self, answered: Answered, outgoing: &mpsc::Sender<Outgoing>) {
        self.fetching.remove(&answered.id);
        for request in answered.log {
            self.note(&request.to_string()).await;
        }
        send(outgoing, answered.frame);
    }
}
