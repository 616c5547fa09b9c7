//! One sandbox process as its parent sees it: started, prepared, watched, killed, reaped.

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

/// How long a process may take to say that it is ready. Generous: it is no part of any run.
const READY_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a killed process may take to be gone.
const REAP_TIMEOUT: Duration = Duration::from_secs(5);
/// How much of a read buffer is kept between messages.
const KEPT_BUFFER_BYTES: usize = 64 * 1024;
/// The layers that `SANDBOX_STRICT=1` asks for: every one there is.
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

/// Why there is no sandbox process. A fault of the platform, never of a script.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    #[error("a sandbox process could not be started: {0}")]
    Start(#[source] io::Error),
    #[error("the sandbox process did not get ready: {0}")]
    Prepare(#[from] FrameError),
    #[error("the sandbox process said something else than that it is ready")]
    NotReady,
    #[error("the sandbox process was not ready within {} s", READY_TIMEOUT.as_secs())]
    Slow,
    #[error(transparent)]
    Strict(#[from] StrictError),
}

/// The host forbids what `SANDBOX_STRICT=1` insists on.
#[derive(Debug, thiserror::Error)]
#[error("SANDBOX_STRICT is set, and these isolation layers do not hold here: {}", .missing.join(", "))]
pub struct StrictError {
    pub missing: Vec<&'static str>,
}

/// What every process of a pool is made from.
pub(super) struct Recipe {
    pub(super) program: Box<Path>,
    pub(super) snapshot: Arc<[u8]>,
    pub(super) memory_bytes: usize,
    pub(super) strict: bool,
}

/// A sandbox process. Dropped, it is killed.
pub(super) struct Sandbox {
    process: Child,
    pub(super) frames: Frames,
    pub(super) writer: OwnedWriteHalf,
    layers: Vec<String>,
    runs: u32,
    /// Processor time it had used when it got ready for the next run.
    cpu_before: Duration,
    /// Whose runs it has had.
    workspace: Option<String>,
}

impl Sandbox {
    /// Starts a process and waits until it is ready for a job.
    pub(super) async fn spawn(recipe: &Recipe) -> Result<Self, SpawnError> {
        let mut sandbox = Self::start(recipe).map_err(SpawnError::Start)?;
        timeout(READY_TIMEOUT, async {
            sandbox.send(&ToSandbox::Prepare { memory_bytes: recipe.memory_bytes }).await?;
            let snapshot = sandbox_protocol::frame(&recipe.snapshot)?;
            sandbox.writer.write_all(&snapshot).await.map_err(FrameError::Io)?;
            sandbox.ready().await
        })
        .await
        .map_err(|_elapsed| SpawnError::Slow)??;
        if recipe.strict {
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

    fn start(recipe: &Recipe) -> io::Result<Self> {
        let (ours, theirs) = StdUnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let process = Command::new(&*recipe.program)
            .arg("sandbox")
            .env_clear()
            // ICU asks for the time zone once; scripts run in UTC wherever the worker is.
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

    /// Waits until a fresh isolate stands; for a process that just finished a run, too.
    pub(super) async fn ready(&mut self) -> Result<(), SpawnError> {
        match timeout(READY_TIMEOUT, self.frames.next()).await.map_err(|_elapsed| SpawnError::Slow)?? {
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

    /// The isolation layers it said are in force.
    pub(super) fn layers(&self) -> &[String] {
        &self.layers
    }

    /// Whether it has had no run yet.
    pub(super) fn is_fresh(&self) -> bool {
        self.workspace.is_none()
    }

    /// Whether its runs were this workspace's.
    pub(super) fn belongs_to(&self, workspace: &str) -> bool {
        self.workspace.as_deref() == Some(workspace)
    }

    /// From here on, its runs are this workspace's.
    pub(super) fn assign(&mut self, workspace: &str) {
        if !self.belongs_to(workspace) {
            self.workspace = Some(workspace.to_owned());
        }
    }

    /// How many runs it has had, counting one more.
    pub(super) fn count_run(&mut self) -> u32 {
        self.runs += 1;
        self.runs
    }

    /// Bytes of memory it holds now.
    pub(super) fn resident_bytes(&self) -> Option<usize> {
        let pid = self.process.id()?;
        // A file of the kernel's: read from memory, never from a disk. In kibibytes, whatever a page has.
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kibibytes: usize = resident.trim().strip_suffix(" kB")?.parse().ok()?;
        Some(kibibytes.saturating_mul(1024))
    }

    /// Whether the process still runs.
    pub(super) fn is_alive(&mut self) -> bool {
        matches!(self.process.try_wait(), Ok(None))
    }

    /// Processor time it had used before its present run.
    pub(super) const fn cpu_before(&self) -> Duration {
        self.cpu_before
    }

    /// Processor time it has used.
    pub(super) fn cpu_time(&self) -> Option<Duration> {
        let pid = self.process.id()?;
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // Fields 14 and 15, counted after the name in parentheses; hundredths of a second.
        let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
        let (user, system): (u64, u64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        Some(Duration::from_millis((user + system) * 10))
    }

    /// How the process ended, if it ends by itself within a moment; else it is killed.
    pub(super) async fn end(&mut self) -> Option<ExitStatus> {
        if let Ok(status) = timeout(Duration::from_millis(100), self.process.wait()).await {
            return status.ok();
        }
        self.kill().await
    }

    /// Kills and reaps it.
    pub(super) async fn kill(&mut self) -> Option<ExitStatus> {
        let _ = self.process.start_kill();
        timeout(REAP_TIMEOUT, self.process.wait()).await.ok()?.ok()
    }
}

/// Reads a sandbox's messages.
pub(super) struct Frames {
    reader: OwnedReadHalf,
    buffer: Vec<u8>,
}

impl Frames {
    /// The next message. Cancel-safe: bytes already read are kept.
    pub(super) async fn next(&mut self) -> Result<FromSandbox, FrameError> {
        loop {
            if let Some((header, rest)) = self.buffer.split_first_chunk() {
                let length = sandbox_protocol::frame_length(*header)?;
                if let Some(payload) = rest.get(..length) {
                    let message = serde_json::from_slice(payload)?;
                    self.buffer.drain(..4 + length);
                    self.buffer.shrink_to(KEPT_BUFFER_BYTES);
                    return Ok(message);
                }
            }
            if self.reader.read_buf(&mut self.buffer).await? == 0 {
                return Err(FrameError::Io(io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }
}
