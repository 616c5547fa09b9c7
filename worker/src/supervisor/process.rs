//! Handle of a sandbox process, by which the supervisor learns of its end, kills and reaps it.

use rustix::process::{Signal, WaitId, WaitIdOptions, pidfd_send_signal, waitid};
use std::{
    io,
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::process::ExitStatusExt as _,
    },
    process::ExitStatus,
};
use tokio::{
    io::{Interest, unix::AsyncFd},
    process::Child,
    runtime::Handle,
};

/// Sandbox process, a child of this process. Dropping it kills and reaps the process.
pub(super) enum Process {
    /// Started as a program.
    Started(Child),
    /// Made by a template.
    Forked(Forked),
}

impl Process {
    /// Returns the process id, unless the process was reaped.
    pub(super) fn id(&self) -> Option<u32> {
        match self {
            Self::Started(child) => child.id(),
            Self::Forked(forked) => forked.status.is_none().then_some(forked.pid),
        }
    }

    /// Returns true if the process still runs.
    pub(super) fn is_alive(&mut self) -> bool {
        let status = match self {
            Self::Started(child) => child.try_wait(),
            Self::Forked(forked) => forked.try_wait(),
        };
        matches!(status, Ok(None))
    }

    /// Waits for the end of the process and reaps it. Cancel-safe.
    pub(super) async fn wait(&mut self) -> io::Result<ExitStatus> {
        match self {
            Self::Started(child) => child.wait().await,
            Self::Forked(forked) => forked.wait().await,
        }
    }

    pub(super) fn start_kill(&mut self) {
        match self {
            Self::Started(child) => drop(child.start_kill()),
            Self::Forked(forked) => forked.kill(),
        }
    }
}

/// Process made by a template. The descriptor names this process alone, even if its id is given to another.
pub(super) struct Forked {
    pid: u32,
    /// `None` only while the value is dropped.
    pidfd: Option<AsyncFd<OwnedFd>>,
    status: Option<ExitStatus>,
}

impl Forked {
    #[expect(
        deprecated,
        reason = "its successor is unsafe for values that don't keep their descriptor; `OwnedFd` does"
    )]
    pub(super) fn new(pid: u32, pidfd: OwnedFd) -> io::Result<Self> {
        let pidfd = AsyncFd::with_interest(pidfd, Interest::READABLE)?;
        Ok(Self { pid, pidfd: Some(pidfd), status: None })
    }

    /// Reaps the process if it has ended.
    fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        if let (None, Some(pidfd)) = (self.status, &self.pidfd) {
            self.status = reap(pidfd)?;
        }
        Ok(self.status)
    }

    async fn wait(&mut self) -> io::Result<ExitStatus> {
        loop {
            if let Some(status) = self.try_wait()? {
                return Ok(status);
            }
            let Some(pidfd) = &self.pidfd else { return Err(io::ErrorKind::NotFound.into()) };
            // Readable once the process has ended, and from then on.
            drop(pidfd.readable().await?);
        }
    }

    fn kill(&self) {
        if let (None, Some(pidfd)) = (self.status, &self.pidfd) {
            // Fails only if the process has ended.
            let _ = pidfd_send_signal(pidfd.get_ref(), Signal::KILL);
        }
    }
}

impl Drop for Forked {
    fn drop(&mut self) {
        self.kill();
        let Some(pidfd) = self.pidfd.take().filter(|_| self.status.is_none()) else { return };
        if let (Ok(None), Ok(runtime)) = (reap(&pidfd), Handle::try_current()) {
            // Nothing of this type, whose drop would spawn again on a runtime that shuts down.
            runtime.spawn(
                async move { while let (Ok(_), Ok(None)) = (pidfd.readable().await, reap(&pidfd)) {} },
            );
        }
    }
}

/// Reaps the process if it has ended. Returns its status.
fn reap(pidfd: &AsyncFd<OwnedFd>) -> io::Result<Option<ExitStatus>> {
    let ended =
        waitid(WaitId::PidFd(pidfd.get_ref().as_fd()), WaitIdOptions::EXITED | WaitIdOptions::NOHANG)?;
    Ok(ended.map(|ended| {
        // As `wait` encodes it: an exit code in the second byte, or a signal in the first.
        let code = ended.exit_status().map(|code| code << 8);
        ExitStatus::from_raw(code.or(ended.terminating_signal()).unwrap_or_default())
    }))
}
