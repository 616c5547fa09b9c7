//! Sandbox process: its start or takeover, preparation, observation, kill and end.

use super::process::{Forked, Process};
use bytes::Bytes;
use sandbox_protocol::{FrameError, FromSandbox, ToSandbox};
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
pub(super) const READY_TIMEOUT: Duration = Duration::from_secs(20);
/// Limits, in seconds, the wait for the end of a killed process.
const REAP_TIMEOUT: Duration = Duration::from_secs(5);
/// Maximum size of the message that a process is ready, in bytes.
pub(super) const MAX_READY_BYTES: usize = 4 * 1024;
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
    /// Number of copies after which a template is replaced.
    pub(super) copies_per_template: u32,
}

impl SandboxConfig {
    /// Sends the first two frames: the memory limit and the snapshot.
    pub(super) async fn prepare(&self, writer: &mut OwnedWriteHalf) -> Result<(), FrameError> {
        let message = ToSandbox::Prepare { memory_bytes: self.memory_bytes };
        writer.write_all(&sandbox_protocol::encode(&message)?).await?;
        Ok(writer.write_all(&sandbox_protocol::frame(&self.snapshot)?).await?)
    }
}

/// Starts this program as `command`, with the other end of the socket as its only descriptor.
///
/// The process, and copies of it, end with the thread that calls this. The threads of the runtime live as long as it
/// does: clippy forbids `block_in_place`, which would replace them.
pub(super) fn start_program(config: &SandboxConfig, command: &str) -> io::Result<(Child, UnixStream)> {
    let (ours, theirs) = StdUnixStream::pair()?;
    ours.set_nonblocking(true)?;
    let process = Command::new(&*config.program)
        .arg(command)
        .env_clear()
        // ICU reads the time zone once. Scripts run in UTC, whatever the worker's time zone is.
        .env("TZ", "UTC")
        .current_dir("/")
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    Ok((process, UnixStream::from_std(ours)?))
}

/// Sandbox process. Dropping it kills the process.
pub(super) struct Sandbox {
    process: Process,
    pub(super) frames: Frames,
    pub(super) writer: OwnedWriteHalf,
    layers: Vec<String>,
    /// Processor time that the process had used when it became ready.
    cpu_before: Duration,
    /// Generation of the template that made the process.
    generation: u64,
}

impl Sandbox {
    /// Starts a process as a program and waits until it is ready for a job.
    pub(super) async fn spawn(config: &SandboxConfig) -> Result<Self, SpawnError> {
        let (process, socket) = start_program(config, "sandbox").map_err(SpawnError::Start)?;
        let mut sandbox = Self::new(Process::Started(process), socket, 0);
        timeout(READY_TIMEOUT, config.prepare(&mut sandbox.writer))
            .await
            .map_err(|_elapsed| SpawnError::Slow)??;
        let mut sandbox = sandbox.into_ready(config).await?;
        sandbox.cpu_before = sandbox.cpu_time().unwrap_or_default();
        Ok(sandbox)
    }

    /// Takes over a process that a template has made.
    pub(super) fn from_template(process: Forked, socket: UnixStream, generation: u64) -> Self {
        Self::new(Process::Forked(process), socket, generation)
    }

    fn new(process: Process, socket: UnixStream, generation: u64) -> Self {
        let (reader, writer) = socket.into_split();
        let frames = Frames::new(reader);
        Self { process, frames, writer, layers: Vec::new(), cpu_before: Duration::ZERO, generation }
    }

    /// Waits until the process is ready for a job.
    pub(super) async fn into_ready(mut self, config: &SandboxConfig) -> Result<Self, SpawnError> {
        let received = timeout(READY_TIMEOUT, self.frames.next(MAX_READY_BYTES)).await;
        match received.map_err(|_elapsed| SpawnError::Slow)??.message {
            FromSandbox::Ready { layers } => self.layers = layers,
            _ => return Err(SpawnError::NotReady),
        }
        let missing: Vec<_> =
            ALL_LAYERS.into_iter().filter(|name| !self.layers.iter().any(|held| held == name)).collect();
        if config.strict && !missing.is_empty() {
            return Err(StrictError { missing }.into());
        }
        Ok(self)
    }

    /// Returns the isolation layers that the process has reported to hold.
    pub(super) fn layers(&self) -> &[String] {
        &self.layers
    }

    /// Returns the process id, unless the process was reaped.
    pub(super) fn process_id(&self) -> Option<u32> {
        self.process.id()
    }

    /// Returns the generation of the template that made the process.
    pub(super) const fn generation(&self) -> u64 {
        self.generation
    }

    /// Returns the resident anonymous memory of the process, in bytes: all that it wrote, and what it still shares with
    /// its template, but not the program's own pages.
    pub(super) fn resident_bytes(&self) -> Option<usize> {
        let pid = self.process.id()?;
        // Reading blocks on no disk: the kernel makes this file. Its unit is the kibibyte, whatever the size of a page.
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let resident = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
        let kibibytes: usize = resident.trim().strip_suffix(" kB")?.parse().ok()?;
        Some(kibibytes.saturating_mul(1024))
    }

    /// Returns true if the process still runs.
    pub(super) fn is_alive(&mut self) -> bool {
        self.process.is_alive()
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
        self.process.start_kill();
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
    pub(super) const fn new(reader: OwnedReadHalf) -> Self {
        Self { reader, buffer: Vec::new() }
    }

    pub(super) fn into_reader(self) -> OwnedReadHalf {
        self.reader
    }

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
