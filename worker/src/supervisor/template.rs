//! Template process, of which the sandbox processes are copies.

use super::{
    process::Forked,
    sandbox_process::{Frames, MAX_READY_BYTES, READY_TIMEOUT, SandboxConfig, SpawnError, start_program},
};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use sandbox_protocol::{FORK_FAILED, FORK_REQUEST, FromSandbox};
use std::{
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::{
        fd::{AsFd as _, BorrowedFd, OwnedFd},
        unix::net::UnixStream as StdUnixStream,
    },
    time::Duration,
};
use tokio::{
    io::Interest,
    net::UnixStream,
    process::Child,
    time::{Instant, timeout},
};

/// Limits the age of a template, in minutes. Its copies have one address layout, which their scripts may learn piece by
/// piece.
const MAX_AGE: Duration = Duration::from_mins(10);

/// Template that is ready to make processes. Dropping it ends it, and leaves the processes that it made alone.
pub(super) struct Template {
    process: Child,
    control: UnixStream,
    /// Number of this template, counted from 1.
    pub(super) generation: u64,
    forks: u32,
    started: Instant,
}

impl Template {
    /// Starts a template and waits until it can make processes.
    pub(super) async fn start(config: &SandboxConfig, generation: u64) -> Result<Self, SpawnError> {
        let (process, socket) = start_program(config, "template").map_err(SpawnError::Start)?;
        let (reader, mut writer) = socket.into_split();
        let mut frames = Frames::new(reader);
        timeout(READY_TIMEOUT, async {
            config.prepare(&mut writer).await?;
            match frames.next(MAX_READY_BYTES).await?.message {
                FromSandbox::Ready { .. } => Ok(()),
                _ => Err(SpawnError::NotReady),
            }
        })
        .await
        .map_err(|_elapsed| SpawnError::Slow)??;
        let control = frames.into_reader().reunite(writer).expect("they are halves of one socket");
        Ok(Self { process, control, generation, forks: 0, started: Instant::now() })
    }

    pub(super) fn id(&self) -> Option<u32> {
        self.process.id()
    }

    /// Returns true if the template has made as many copies as one may, or is too old.
    pub(super) fn is_due(&self, max_copies: u32) -> bool {
        self.forks >= max_copies || self.started.elapsed() >= MAX_AGE
    }

    /// Makes a process. Returns it with this end of its socket. After an error, or if the future was dropped, the
    /// template must not be used again.
    pub(super) async fn fork(&mut self) -> Result<(Forked, UnixStream), SpawnError> {
        timeout(READY_TIMEOUT, self.request())
            .await
            .map_err(|_elapsed| SpawnError::Slow)?
            .map_err(SpawnError::Start)
    }

    async fn request(&mut self) -> io::Result<(Forked, UnixStream)> {
        self.forks += 1;
        let (ours, theirs) = StdUnixStream::pair()?;
        ours.set_nonblocking(true)?;
        self.control.async_io(Interest::WRITABLE, || send_request(&self.control, theirs.as_fd())).await?;
        drop(theirs);
        let (pid, pidfd) =
            self.control.async_io(Interest::READABLE, || receive_answer(&self.control)).await?;
        Ok((Forked::new(pid, pidfd)?, UnixStream::from_std(ours)?))
    }
}

fn send_request(control: &UnixStream, socket: BorrowedFd) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let sockets = [socket];
    // There is room for one.
    ancillary.push(SendAncillaryMessage::ScmRights(&sockets));
    sendmsg(control, &[IoSlice::new(&FORK_REQUEST)], &mut ancillary, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// Reads the id of a new process, and its descriptor.
fn receive_answer(control: &UnixStream) -> io::Result<(u32, OwnedFd)> {
    let mut pid = FORK_FAILED.to_le_bytes();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let length =
        recvmsg(control, &mut [IoSliceMut::new(&mut pid)], &mut ancillary, RecvFlags::CMSG_CLOEXEC)?.bytes;
    if length == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let pidfd = ancillary.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    match (u32::try_from(i32::from_le_bytes(pid)), pidfd) {
        (Ok(pid), Some(pidfd)) if length == size_of_val(&pid) => Ok((pid, pidfd)),
        _ => Err(io::Error::other("the template could not make a process")),
    }
}
