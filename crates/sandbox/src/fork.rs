//! Processes made from a template: requests for them, and the call that makes one.
//!
//! A request is one byte with a socket, the answer the id of the new process with its descriptor (a pidfd). Both
//! descriptors travel as ancillary data of the template's own socket.

use crate::seccomp::FORK_FLAGS;
use sandbox_protocol::FORK_FAILED;
use std::{
    io, mem,
    os::{
        fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
        unix::net::UnixStream,
    },
};

/// Size of the ancillary data of one descriptor, in bytes, in words for its alignment.
const CONTROL_WORDS: usize = 4;
type Control = [u64; CONTROL_WORDS];

/// Side of the new process on which a call of [`fork`] returns.
pub(super) enum Forked {
    /// The new process, with one thread: the caller.
    Child,
    /// The template.
    Template { pid: i32, pidfd: OwnedFd },
}

/// Makes V8's memory part of new processes. V8 excludes its mappings, of which most processes have no use.
///
/// A single call covers the whole address space: the kernel skips the gaps. It stops at its own pages at the end of the
/// address space, which it does not let anyone change.
pub(super) fn include_all_memory() {
    const HALF: usize = 1 << (usize::BITS - 1);
    // SAFETY: changes no contents of the memory, only what a new process inherits.
    unsafe { libc::madvise(std::ptr::null_mut(), HALF, libc::MADV_DOFORK) };
}

/// Returns the address at which the C library keeps the id of the calling thread, which `clone` can then update.
///
/// Returns another writable address if the kernel does not tell it. The C library then believes the new process's first
/// thread to be the template's, which only `raise` and locks between threads could notice.
pub(super) fn thread_id_address() -> *mut libc::pid_t {
    static UNUSED: std::sync::atomic::AtomicI32 = std::sync::atomic::AtomicI32::new(0);
    const PR_GET_TID_ADDRESS: libc::c_int = 40;
    let mut address: *mut libc::pid_t = std::ptr::null_mut();
    // SAFETY: the pointer is to a live pointer.
    let failed = unsafe { libc::prctl(PR_GET_TID_ADDRESS, &raw mut address) } != 0;
    if failed || address.is_null() { UNUSED.as_ptr() } else { address }
}

/// Makes a process that is a copy of this one with the calling thread only. Its parent is the parent of this process.
///
/// The C library's own `fork` can't do that. What it does besides is not needed: no other thread of the template holds
/// a lock, since the only one waits forever.
///
/// # Safety
/// `thread_id` is the result of [`thread_id_address`] on this thread. No other thread of the process holds a lock.
pub(super) unsafe fn fork(thread_id: *mut libc::pid_t) -> io::Result<Forked> {
    let mut pidfd: libc::c_int = -1;
    // SAFETY: without a stack and without `CLONE_VM` the child goes on from here on a copy of this stack. The kernel
    // writes the descriptor and, in the child, the id of its thread, both to live memory. It does not read the last
    // argument, or the last but one on some architectures: the address is given for both.
    let pid = unsafe {
        libc::syscall(
            libc::SYS_clone,
            libc::c_long::from(FORK_FLAGS),
            0,
            &raw mut pidfd,
            thread_id,
            thread_id,
        )
    };
    match i32::try_from(pid) {
        Ok(0) => Ok(Forked::Child),
        // SAFETY: the kernel has just opened it for this process.
        Ok(pid) if pid > 0 => Ok(Forked::Template { pid, pidfd: unsafe { OwnedFd::from_raw_fd(pidfd) } }),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Waits for a request. Returns the socket of the process to be made, or `None` if the supervisor has gone.
pub(super) fn receive(control: &UnixStream) -> Option<OwnedFd> {
    let (mut byte, mut words) = ([0_u8; 1], Control::default());
    let mut vector = libc::iovec { iov_base: byte.as_mut_ptr().cast(), iov_len: byte.len() };
    let mut message = message(&mut vector, &mut words);
    loop {
        // SAFETY: the message points to live buffers of the lengths that it names.
        let received = unsafe { libc::recvmsg(control.as_raw_fd(), &raw mut message, 0) };
        if received == 1 {
            break;
        }
        if received == 0 || io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
            return None;
        }
    }
    // SAFETY: the kernel has filled in the message. A header that it returns lies within `words`, with its data.
    unsafe {
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        let (level, kind) = header.as_ref().map(|header| (header.cmsg_level, header.cmsg_type))?;
        if (level, kind) != (libc::SOL_SOCKET, libc::SCM_RIGHTS) {
            return None;
        }
        let descriptor = libc::CMSG_DATA(header).cast::<libc::c_int>().read_unaligned();
        Some(OwnedFd::from_raw_fd(descriptor))
    }
}

/// Answers a request with the new process. Returns false if the supervisor has gone.
pub(super) fn answer(control: &UnixStream, process: Option<(i32, &OwnedFd)>) -> bool {
    let mut bytes = process.map_or(FORK_FAILED, |(pid, _)| pid).to_le_bytes();
    let mut words = Control::default();
    let mut vector = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    let mut message = message(&mut vector, &mut words);
    match process {
        None => message.msg_controllen = 0,
        // SAFETY: `words` has room for one header and one descriptor, and both are written within it.
        Some((_, pidfd)) => unsafe {
            let length = libc::c_uint::try_from(mem::size_of::<libc::c_int>()).unwrap_or(4);
            message.msg_controllen = libc::CMSG_SPACE(length) as usize;
            let header = libc::CMSG_FIRSTHDR(&raw const message);
            (*header).cmsg_level = libc::SOL_SOCKET;
            (*header).cmsg_type = libc::SCM_RIGHTS;
            (*header).cmsg_len = libc::CMSG_LEN(length) as usize;
            libc::CMSG_DATA(header).cast::<libc::c_int>().write_unaligned(pidfd.as_raw_fd());
        },
    }
    // SAFETY: the message points to live buffers of the lengths that it names.
    let sent = unsafe { libc::sendmsg(control.as_raw_fd(), &raw const message, libc::MSG_NOSIGNAL) };
    usize::try_from(sent) == Ok(bytes.len())
}

fn message(vector: &mut libc::iovec, words: &mut Control) -> libc::msghdr {
    // SAFETY: a message without address, buffers and flags is all zeros.
    let mut message: libc::msghdr = unsafe { mem::zeroed() };
    message.msg_iov = vector;
    message.msg_iovlen = 1;
    message.msg_control = words.as_mut_ptr().cast();
    message.msg_controllen = mem::size_of::<Control>();
    message
}

/// Makes `socket` descriptor 0, in place of the template's own. The first layers of the process close the other
/// descriptors.
pub(super) fn adopt(socket: &OwnedFd) -> Option<UnixStream> {
    // SAFETY: nothing in the new process uses descriptor 0 any more. The new owner of it is the result.
    unsafe { (libc::dup3(socket.as_raw_fd(), 0, libc::O_CLOEXEC) == 0).then(|| UnixStream::from_raw_fd(0)) }
}
