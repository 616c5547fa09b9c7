//! Supervision of one run: deadlines, console lines, fetches, memory, and its end.
//!
//! Invariant: the loop below never waits for the sandbox process or the reader of its console lines alone. A reader that is
//! slow stops the reading of frames, never the clock.

mod bodies;
mod conclusion;
mod lines;
mod verdict;

use super::{
    fetch::{BodyRequest, Fetcher, RequestLine, RunPolicy, ScriptRequest},
    frame_writer::{Frame, FrameWriter},
    logs::Logs,
    masking::beside,
    sandbox_process::{Received, Sandbox},
};
use bodies::Bodies;
use sandbox_protocol::{FrameError, FromSandbox, Job, MAX_ERROR_TEXT_UNITS, MAX_FRAME_BYTES, RunEnd};
use shared::{
    execution::ErrorCode,
    limits::Limits,
    masking::Masker,
    outcome::{LogLine, Outcome, Usage},
};
use std::{
    collections::{HashMap, VecDeque},
    io,
    ops::ControlFlow,
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::mpsc,
    task::{AbortHandle, JoinSet},
    time::{Instant, Interval, interval_at, sleep_until},
};
use tokio_util::sync::CancellationToken;
use verdict::KillReason;

/// Limits, in milliseconds, how long a process may take to stop after it was told to. Then it is killed.
const GRACE: Duration = Duration::from_millis(400);
/// Interval, in milliseconds, between two measurements of resident memory.
const WATCH_INTERVAL: Duration = Duration::from_millis(50);
/// Resident memory of a process beyond its run's limit, in bytes: V8, code, garbage not yet collected, one frame in each
/// direction. An idle process has 8 to 9 MiB; a copy of a template shares nearly all of them with it.
const RESIDENT_OVERHEAD_BYTES: usize = 128 * 1024 * 1024;

/// Maximum length of one byte of a text in JSON, in bytes: `\u0000`.
const MAX_ESCAPED_BYTES: usize = 6;
/// Maximum size of the texts of a message other than results and console lines, in bytes: the URL and headers of a
/// request, or an error's message and stack.
const MAX_OTHER_TEXT_BYTES: usize = MAX_ESCAPED_BYTES * 16 * MAX_ERROR_TEXT_UNITS;

/// Input of a run besides its job, and its connections to the worker.
pub struct RunContext {
    /// Hosts that `fetch` may reach: exact, or `*.example.com`; optionally with a port.
    pub allowed_domains: Vec<String>,
    /// The workspace's token for Plane's API. Never enters the sandbox.
    pub plane_token: Option<String>,
    /// Cancels the run; it ends as `cancelled`.
    pub cancel: CancellationToken,
    /// Receives console lines during the run. A full channel slows the script down.
    pub logs: mpsc::Sender<LogLine>,
    /// Number of the first console line: 1, or more after earlier attempts.
    pub first_log_seq: i32,
}

/// Outcome of a run, and what happens to its process.
pub(super) struct ConcludedRun {
    pub(super) outcome: Outcome,
    /// Reason why the process did not end in order. `None` if it did.
    pub(super) irregular: Option<&'static str>,
    /// True if a script may have learnt something of its process's address layout.
    pub(super) suspicious: bool,
    /// True if another process may run the job: this one was lost for no reason of the script's, before anything of the run was
    /// seen, above all before any fetch.
    pub(super) safe_to_retry: bool,
}

/// Runs one job in a sandbox that is ready.
pub(super) async fn run(
    sandbox: &mut Sandbox,
    job: &Job,
    context: &RunContext,
    fetcher: &Arc<Fetcher>,
) -> ConcludedRun {
    let given_at = Instant::now();
    // Before all other preparation, which can be done while the process starts on the job.
    let Ok(writer) = FrameWriter::start(job, &sandbox.writer) else { return too_large() };
    let secrets = job.env.values().map(String::as_str).chain(context.plane_token.as_deref());
    let masker = Arc::new(Masker::new(secrets));
    let mut run = Run::new(sandbox, job, context, fetcher, &masker, given_at);
    let end = run.until_end(writer).await;
    let lost = matches!(end, LoopEnd::Lost);
    let (verdict, usage, irregular) = run.conclude(end).await;
    let suspicious = verdict::is_suspicious(lost, run.kill_reason, irregular);
    let safe_to_retry = run.safe_to_retry;
    let bytes = verdict::bytes(&verdict);
    let verdict = beside(&masker, bytes, move |masker| verdict::masked(verdict, masker)).await;
    ConcludedRun { outcome: Outcome { verdict, usage }, irregular, suspicious, safe_to_retry }
}

/// Concludes a run whose job is too long for a frame, of which the sandbox was sent nothing. The api refuses to save such
/// a script.
fn too_large() -> ConcludedRun {
    let message = "the script, its functions and its input are too large together";
    let verdict = verdict::failed(ErrorCode::BuildFailed, message.to_owned());
    let outcome = Outcome { verdict, usage: Usage::default() };
    ConcludedRun { outcome, irregular: None, suspicious: false, safe_to_retry: false }
}

/// A fetch that is over, with the encoded frame of its answer. Encoding a large one is left to the fetch's thread as well.
struct AnsweredFetch {
    id: u32,
    log: Vec<RequestLine>,
    frame: Frame,
}

/// Reason why the loop of a run ended.
enum LoopEnd {
    Reported(RunEnd, Usage),
    /// The process died, or must be killed.
    Lost,
}

/// Event that the loop of a run waits for.
enum Event<'a> {
    /// The process did not stop in time.
    GraceOver,
    /// The run exceeded a limit, or was cancelled.
    MustStop(ErrorCode),
    MemoryCheck,
    /// The reader of console lines takes one more. `None` if it takes no more at all.
    LineAccepted(Option<mpsc::Permit<'a, LogLine>>),
    FrameWritten(io::Result<()>),
    /// `None` for a fetch that was aborted.
    FetchEnded(Option<AnsweredFetch>),
    /// A fetch has memory for the body of its request.
    BodyWanted(BodyRequest),
    Received(Result<Received, FrameError>),
}

struct Run<'a> {
    sandbox: &'a mut Sandbox,
    job: &'a Job,
    context: &'a RunContext,
    logs: Logs<'a>,
    masker: Arc<Masker>,
    /// Moment at which the process was given the job.
    given_at: Instant,
    initialized: Option<Instant>,
    kill_reason: Option<KillReason>,
    kill_at: Option<Instant>,
    lines: VecDeque<LogLine>,
    fetcher: Arc<Fetcher>,
    policy: Arc<RunPolicy>,
    fetches: JoinSet<AnsweredFetch>,
    fetching: HashMap<u32, AbortHandle>,
    bodies: Bodies,
    fetch_count: u32,
    abort_count: u32,
    /// True once the process has been sent the whole job.
    has_sent_job: bool,
    memory_checks: Interval,
    safe_to_retry: bool,
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
            kill_reason: None,
            kill_at: None,
            lines: VecDeque::new(),
            fetcher: Arc::clone(fetcher),
            policy: Arc::new(policy.of_workspace(&job.workspace_slug)),
            fetches: JoinSet::new(),
            fetching: HashMap::new(),
            bodies: Bodies::new(),
            fetch_count: 0,
            abort_count: 0,
            has_sent_job: false,
            memory_checks: interval_at(Instant::now() + WATCH_INTERVAL, WATCH_INTERVAL),
            safe_to_retry: false,
            resident_peak: 0,
        }
    }

    fn limits(&self) -> &'a Limits {
        &self.job.limits
    }

    /// Returns when the present phase must be over, and the error code of a run that exceeds it.
    fn deadline(&self) -> (Instant, ErrorCode) {
        match self.initialized {
            None => (self.given_at + self.limits().init_timeout, ErrorCode::InitTimeout),
            Some(at) => (at + self.limits().execution_timeout, ErrorCode::Timeout),
        }
    }

    /// Returns the largest frame that the process may send, in bytes: a result or a console line, which JSON makes longer,
    /// or a body that a fetch has memory for.
    fn max_frame_bytes(&self) -> usize {
        if self.bodies.are_expected() {
            return MAX_FRAME_BYTES;
        }
        let Limits { result_bytes, log_bytes, .. } = *self.limits();
        let texts =
            result_bytes.saturating_mul(2).saturating_add(log_bytes.saturating_mul(MAX_ESCAPED_BYTES));
        texts.saturating_add(MAX_OTHER_TEXT_BYTES).min(MAX_FRAME_BYTES)
    }

    /// Handles events until the run ends. `writer` has the job.
    async fn until_end(&mut self, mut writer: FrameWriter) -> LoopEnd {
        loop {
            let event = self.next_event(&mut writer).await;
            self.has_sent_job = writer.has_sent_job();
            if let ControlFlow::Break(end) = self.on_event(event, &mut writer).await {
                return end;
            }
        }
    }

    /// Waits for the next event. Events that are ready at the same time count in this order. Cancel-safe.
    async fn next_event(&mut self, writer: &mut FrameWriter) -> Event<'a> {
        let is_stopping = self.kill_at.is_some();
        let (deadline, exceeded) = self.deadline();
        let (context, has_lines) = (self.context, !self.lines.is_empty());
        let max_frame_bytes = self.max_frame_bytes();
        tokio::select! {
            biased;
            () = sleep_until(self.kill_at.unwrap_or(deadline)), if is_stopping => Event::GraceOver,
            () = sleep_until(deadline), if !is_stopping => Event::MustStop(exceeded),
            () = context.cancel.cancelled(), if !is_stopping => Event::MustStop(ErrorCode::Cancelled),
            _ = self.memory_checks.tick() => Event::MemoryCheck,
            permit = context.logs.reserve(), if has_lines => Event::LineAccepted(permit.ok()),
            written = writer.write(&mut self.sandbox.writer), if !writer.is_idle() => Event::FrameWritten(written),
            Some(fetch) = self.fetches.join_next() => Event::FetchEnded(fetch.ok()),
            // Not read while lines wait for their reader: a flood of lines stays in the socket.
            wanted = self.bodies.next_request() => Event::BodyWanted(wanted),
            message = self.sandbox.frames.next(max_frame_bytes), if !has_lines => Event::Received(message),
        }
    }

    async fn on_event(&mut self, event: Event<'a>, writer: &mut FrameWriter) -> ControlFlow<LoopEnd> {
        match event {
            Event::MustStop(code) => self.stop(code, writer),
            Event::MemoryCheck => {
                if self.is_over_memory() {
                    return ControlFlow::Break(self.kill(KillReason::OverMemory));
                }
            }
            Event::LineAccepted(permit) => self.send_line(permit),
            // The process has ended, perhaps in order: its last messages tell.
            Event::FrameWritten(Err(_)) => writer.close(),
            Event::FetchEnded(Some(fetch)) => self.answer(fetch, writer).await,
            Event::FrameWritten(Ok(())) | Event::FetchEnded(None) => {}
            Event::BodyWanted(request) => {
                writer.push(Frame::send_body(request.id));
                self.bodies.expect(request);
            }
            Event::Received(Ok(received)) => return self.on_message(received).await,
            Event::GraceOver | Event::Received(Err(FrameError::Io(_))) => {
                return ControlFlow::Break(LoopEnd::Lost);
            }
            Event::Received(Err(_)) => return ControlFlow::Break(self.kill(KillReason::ProtocolViolation)),
        }
        ControlFlow::Continue(())
    }

    async fn on_message(&mut self, received: Received) -> ControlFlow<LoopEnd> {
        if let Received { message: FromSandbox::Finished { end, usage }, .. } = received {
            return ControlFlow::Break(LoopEnd::Reported(end, usage));
        }
        if self.handle_message(received).await {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(self.kill(KillReason::ProtocolViolation))
        }
    }

    /// Sends the first queued line to its reader, or drops all if it takes no more.
    fn send_line(&mut self, permit: Option<mpsc::Permit<'a, LogLine>>) {
        match (permit, self.lines.pop_front()) {
            (Some(permit), Some(line)) => permit.send(line),
            _ => self.lines.clear(),
        }
    }

    /// Notes why the process has to be killed, which [`Self::conclude`] does.
    fn kill(&mut self, reason: KillReason) -> LoopEnd {
        self.kill_reason = Some(reason);
        LoopEnd::Lost
    }

    /// Tells the process to stop, and sets the moment at which it is killed.
    fn stop(&mut self, code: ErrorCode, writer: &mut FrameWriter) {
        self.kill_reason = Some(KillReason::Limit(code));
        self.kill_at = Some(Instant::now() + GRACE);
        writer.push(Frame::terminate(code));
    }

    fn is_over_memory(&mut self) -> bool {
        let resident = self.sandbox.resident_bytes().unwrap_or_default();
        self.resident_peak = self.resident_peak.max(resident);
        resident > self.limits().memory_bytes.saturating_add(RESIDENT_OVERHEAD_BYTES)
    }

    /// Handles a message. Returns false for one that breaks the protocol.
    async fn handle_message(&mut self, Received { message, body }: Received) -> bool {
        match message {
            FromSandbox::Body { id } => self.bodies.deliver(id, body),
            FromSandbox::Fetch { id, request } => match self.bodies.of_request(id, request, body) {
                Some(request) => self.fetch(id, request),
                None => false,
            },
            _ if !body.is_empty() => false,
            FromSandbox::Initialized if self.initialized.is_none() => {
                self.initialized = Some(Instant::now());
                true
            }
            FromSandbox::Log { level, message } => self.line(level, message).await,
            FromSandbox::FetchAborted { id } => {
                self.bodies.forget(id);
                if let Some(fetch) = self.fetching.remove(&id) {
                    fetch.abort();
                }
                self.abort_count += 1;
                self.abort_count <= self.limits().fetches
            }
            FromSandbox::Initialized | FromSandbox::Ready { .. } | FromSandbox::Finished { .. } => false,
        }
    }

    fn fetch(&mut self, id: u32, request: ScriptRequest) -> bool {
        self.fetch_count += 1;
        // The sandbox counts too, and refuses the script's call; a process that does not was taken over.
        if self.fetch_count > self.limits().fetches || self.fetching.contains_key(&id) {
            return false;
        }
        let (fetcher, policy) = (Arc::clone(&self.fetcher), Arc::clone(&self.policy));
        let fetch = async move {
            let fetched = fetcher.perform(request, &policy).await;
            let frame = Frame::answer(id, fetched.answer, fetched.body, fetched.hold);
            AnsweredFetch { id, log: fetched.log, frame }
        };
        // The set aborts its tasks when it is dropped: no fetch outlives its run.
        let handle = self.fetches.spawn_on(fetch, self.fetcher.runtime());
        self.fetching.insert(id, handle);
        true
    }

    /// Adds one line per request to the run's own log, then queues the answer.
    async fn answer(&mut self, answered: AnsweredFetch, writer: &mut FrameWriter) {
        self.fetching.remove(&answered.id);
        for request in answered.log {
            self.note(&request.to_string()).await;
        }
        writer.push(answered.frame);
    }
}
