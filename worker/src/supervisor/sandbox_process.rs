//! Sandbox process: its start, preparation, observation, kill and end.

use bytes::Bytes;
use sandbox_protocol::{FrameError, FromSandbox, ToSandbox};
use serde::Serialize;
use std::{
    io,
    os::{fd::OwnedFd, unix::net::UnixStream as StdUnixStream},
    path::Path,
    process::{ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    process::{Child, Command},
    time::timeout,
};

/// Limits, in seconds, how long a process may take to become ready. It is generous, since it is no part of a
/// run's time.
const READY_TIMEOUT: Duration = Duration::from_secs(20);
/// Limits, in seconds, the wait for the end of a killed process.
const REAP_TIMEOUT: Duration = Duration::from_secs(5);
/// Maximum size of the message that a process is ready, in bytes.
const MAX_READY_BYTES: usize = 4 * 1024;
/// Length of a frame's header, in bytes.
const HEADER_BYTES: usize = 4;
/// Limits the read buffer that is kept between messages, in bytes.
const MAX_KEPT_BUFFER_BYTES: usize = 64 * 1024;
/// Names of all isolation layers. `SANDBOX_STRICT=1` requires every one of them.
pub(super) const ALL_LAYERS: [&str; 11] = [
    "descriptors",
    "environment",
    "no_new_privs",
    "network_namespace",
    "landlock",
    "capabilities",
    "not_dumpable",
    "rlimits",
    "memory_rlimit",
    "process_rlimit",
    "seccomp",
];

/// Reason why a sandbox process could not be started or prepared. Always a fault of the platform, never of a script.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    #[error("a sandbox process could not be started: {0}")]
    Start(#[source] io::Error),
    #[error("the sandbox process did not become ready: {0}")]
    Prepare(#[from] FrameError),
    #[error("the sandbox process sent another message than that it is ready")]
    NotReady,
    #[error("the sandbox process was not ready within {} s", READY_TIMEOUT.as_secs())]
    Slow,
    #[error(transparent)]
    Strict(#[from] StrictError),
}

/// Isolation layers that `SANDBOX_STRICT=1` requires and this host does not support.
#[derive(Debug, thiserror::Error)]
#[error("SANDBOX_STRICT is set, and these isolation layers do not hold here: {}", .missing.join(", "))]
pub struct StrictError {
    pub missing: Vec<&'static str>,
}

/// Configuration of every process of a pool.
pub(super) struct SandboxConfig {
    pub(super) program: Box<Path>,
    pub(super) snapshot: Arc<[u8]>,
    pub(super) memory_bytes: usize,
    pub(super) strict: bool,
}

/// Sandbox process. Dropping it kills the process.
pub(super) struct Sandbox {
    process: Child,
    pub(super) frames: Frames,
    pub(super) writer: OwnedWriteHalf,
    layers: Vec<String>,
    runs: u32,
    /// Processor time that the process had used when it became ready for the next run.
    cpu_before: Duration,
    /// Slug of the workspace whose runs the process has had.
    workspace: Option<String>,
}

impl Sandbox {
    /// Starts a process and waits until it is ready for a job.
    pub(super) async fn spawn(config: &SandboxConfig) -> Result<Self, SpawnError> {
        let mut sandbox = Self::start(config).map_err(SpawnError::Start)?;
        timeout(READY_TIMEOUT, async {
            sandbox.send(&ToSandbox::Prepare { memory_bytes: config.memory_bytes }).await?;
            let snapshot = sandbox_protocol::frame(&config.snapshot)?;
            sandbox.writer.write_all(&snapshot).await.map_err(FrameError::Io)?;
            sandbox.ready().await
        })
        .await
        .map_err(|_elapsed| SpawnError::Slow)??;
        if config.strict {
            let missing: Vec<_> = ALL_LAYERS
                .into_iter()
                .filter(|name| !sandbox.layers.iter().any(|held| held == name))
                .collect();
            if !missing.is_empty() {
                return Err(StrictError { missing }.into());
            }
        }
        Ok(sandbox)
    }

    fn start(config: &SandboxConfig) -> io::Result<Self> {
        let (ours, theirs) = StdUnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let process = Command::new(&*config.program)
            .arg("sandbox")
            .env_clear()
            // ICU reads the time zone once. Scripts run in UTC, whatever the worker's time zone is.
            .env("TZ", "UTC")
            .current_dir("/")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let (reader, writer) = UnixStream::from_std(ours)?.into_split();
        let frames = Frames { reader, buffer: Vec::new() };
        Ok(Self {
            process,
            frames,
            writer,
            layers: Vec::new(),
            runs: 0,
            cpu_before: Duration::ZERO,
            workspace: None,
        })
    }

    /// Waits until a fresh isolate is ready, at the start of the process or after a run.
    pub(super) async fn ready(&mut self) -> Result<(), SpawnError> {
        match timeout(READY_TIMEOUT, self.frames.next(MAX_READY_BYTES))
            .await
            .map_err(|_elapsed| SpawnError::Slow)??
            .message
        {
            FromSandbox::Ready { layers } => {
                self.layers = layers;
                self.cpu_before = self.cpu_time().unwrap_or_default();
                Ok(())
            }
            _ => Err(SpawnError::NotReady),
        }
    }

    async fn send(&mut self, message: &impl Serialize) -> Result<(), FrameError> {
        Ok(self.writer.write_all(&sandbox_protocol::encode(message)?).await?)
    }

    /// Returns the isolation layers that the process has reported to hold.
    pub(super) fn layers(&self) -> &[String] {
        &self.layers
    }

    /// Returns true if the process has had no run yet.
    pub(super) fn is_fresh(&self) -> bool {
        self.workspace.is_none()
    }

    /// Returns true if the process has had runs of this workspace.
    pub(super) fn belongs_to(&self, workspace: &str) -> bool {
        self.workspace.as_deref() == Some(workspace)
    }

    /// Reserves the process for runs of this workspace.
    pub(super) fn assign(&mut self, workspace: &str) {
        if !self.belongs_to(workspace) {
            self.workspace = Some(workspace.to_owned());
        }
    }

    /// Counts a run. Returns the number of runs so far.
    pub(super) fn count_run(&mut self) -> u32 {
        self.runs += 1;
        self.runs
    }

    /// Returns the resident memory of the process, in bytes.
    pub(super) fn resident_bytes(&self) -> Option<usize> {
        let pid = self.process.id()?;
        // Reading blocks on no disk: the kernel makes this file. Its unit is the kibibyte, whatever the size of a page.
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kibibytes: usize = resident.trim().strip_suffix(" kB")?.parse().ok()?;
        Some(kibibytes.saturating_mul(1024))
    }

    /// Returns true if the process still runs.
    pub(super) fn is_alive(&mut self) -> bool {
        matches!(self.process.try_wait(), Ok(None))
    }

    /// Returns the processor time that the process had used before its present run.
    pub(super) const fn cpu_before(&self) -> Duration {
        self.cpu_before
    }

    /// Returns the processor time that the process has used.
    pub(super) fn cpu_time(&self) -> Option<Duration> {
        let pid = self.process.id()?;
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // Fields 14 and 15, in hundredths of a second. The name in parentheses before them may contain spaces.
        let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
        let (user, system): (u64, u64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        Some(Duration::from_millis((user + system) * 10))
    }

    /// Waits 100 ms for the process to exit by itself, else kills it. Returns its status.
    pub(super) async fn exit(&mut self) -> Option<ExitStatus> {
        if let Ok(status) = timeout(Duration::from_millis(100), self.process.wait()).await {
            return status.ok();
        }
        self.kill().await
    }

    /// Kills and reaps the process. Returns its status.
    pub(super) async fn kill(&mut self) -> Option<ExitStatus> {
        let _ = self.process.start_kill();
        timeout(REAP_TIMEOUT, self.process.wait()).await.ok()?.ok()
    }
}

/// Message of a sandbox process, and the body that is attached to it.
pub(super) struct Received {
    pub(super) message: FromSandbox,
    pub(super) body: Bytes,
}

/// Reads the messages of a sandbox process.
pub(super) struct Frames {
    reader: OwnedReadHalf,
    buffer: Vec<u8>,
}

impl Frames {
    /// Returns the next message, of a frame of at most `max_bytes`. Cancel-safe: bytes already read are kept.
    pub(super) async fn next(&mut self, max_bytes: usize) -> Result<Received, FrameError> {
        loop {
            if let Some((header, rest)) = self.buffer.split_first_chunk() {
                let length = sandbox_protocol::frame_length(*header)?;
                if length > max_bytes {
                    return Err(FrameError::TooLong(length));
                }
                if rest.len() >= length {
                    return self.take(length);
                }
                // Not a byte more than the frame has, since a large one is handed on without a copy.
                self.buffer.reserve_exact(HEADER_BYTES + length - self.buffer.len());
            }
            if self.reader.read_buf(&mut self.buffer).await? == 0 {
                return Err(FrameError::Io(io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }

    /// Removes the first frame, which has this length, from the buffer.
    fn take(&mut self, length: usize) -> Result<Received, FrameError> {
        let end = HEADER_BYTES + length;
        let (message, start) = sandbox_protocol::decode(&self.buffer[HEADER_BYTES..end])?;
        if start == length {
            self.buffer.drain(..end);
            self.buffer.shrink_to(MAX_KEPT_BUFFER_BYTES);
            return Ok(Received { message, body: Bytes::new() });
        }
        let rest = self.buffer.split_off(end);
        let frame = Bytes::from(std::mem::replace(&mut self.buffer, rest));
        Ok(Received { message, body: frame.slice(HEADER_BYTES + start..) })
    }
}
