//! Escape attempts in native code, as a script could make them after breaking out of the isolate.
//!
//! Compiled into debug builds only, for the tests in `tests/it/sandbox/escape.rs`. The process exits with 0 if the
//! attempt succeeds and with the error number if the kernel denies it. It dies of SIGSYS if the system call filter
//! forbids it.

#![expect(
    clippy::cast_sign_loss,
    clippy::cast_possible_truncation,
    clippy::many_single_char_names,
    reason = "a system call takes six words, whatever they mean"
)]

use crate::{
    child,
    fork::{self, Forked},
    lockdown::{self, Lockdown},
    platform, seccomp,
};
use std::{ffi::CStr, io};

/// Exit code for an unknown attempt.
const EXIT_USAGE: i32 = 250;
/// Exit code for a layer that the host does not support.
const EXIT_LAYER: i32 = 251;

/// Target of an attempt.
#[derive(Clone, Copy)]
struct Target {
    pid: libc::pid_t,
    /// TCP port of 127.0.0.1, or address in the process `pid`.
    number: usize,
}

/// Attempt, which returns the result of a system call.
type Attempt = fn(Target) -> libc::c_long;

/// Descriptor that the test may leave open for the probe.
const INHERITED: usize = 9;

const ATTEMPTS: [(&str, Attempt); 34] = [
    ("nothing", |_| call(libc::SYS_getpid, [0; 6])),
    ("wait", |_| wait()),
    ("read_inherited", |_| {
        let mut byte = 0_u8;
        call(libc::SYS_read, [INHERITED, (&raw mut byte) as usize, 1, 0, 0, 0])
    }),
    // `test` exits with 1 for false, which is EPERM.
    ("execve_inherited", |_| execve(c"/proc/self/fd/9", &[c"test", c"-r", c"/etc/shadow"])),
    ("mmap", |_| {
        let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        call(libc::SYS_mmap, [0, 1 << 30, access as usize, kind as usize, usize::MAX, 0])
    }),
    ("raise_core_limit", |_| {
        let limit = libc::rlimit { rlim_cur: 1, rlim_max: 1 };
        call(libc::SYS_setrlimit, [libc::RLIMIT_CORE as usize, (&raw const limit) as usize, 0, 0, 0, 0])
    }),
    ("open", |_| open(c"/etc/passwd", libc::O_RDONLY)),
    ("create", |_| open(c"/tmp/sandbox-probe", libc::O_CREAT | libc::O_WRONLY)),
    ("list", |_| open(c"/", libc::O_RDONLY | libc::O_DIRECTORY)),
    ("environ_of_other", |target| open_proc(target.pid, "environ")),
    ("memory_of_other", |target| open_proc(target.pid, "mem")),
    ("connect", connect),
    ("socket", |_| call(libc::SYS_socket, [libc::AF_INET as usize, libc::SOCK_STREAM as usize, 0, 0, 0, 0])),
    ("fork", |_| fork()),
    ("execve", |_| execve(c"/bin/true", &[c"true"])),
    ("ptrace", |target| {
        call(libc::SYS_ptrace, [libc::PTRACE_SEIZE as usize, target.pid as usize, 0, 0, 0, 0])
    }),
    ("process_vm_readv", process_vm_readv),
    ("kill", |target| call(libc::SYS_kill, [target.pid as usize, libc::SIGCONT as usize, 0, 0, 0, 0])),
    ("memfd_create", |_| call(libc::SYS_memfd_create, [c"x".as_ptr() as usize, 0, 0, 0, 0, 0])),
    ("unshare", |_| call(libc::SYS_unshare, [libc::CLONE_NEWNET as usize, 0, 0, 0, 0, 0])),
    ("io_uring_setup", io_uring_setup),
    // What a template may do.
    ("copy", |_| {
        let mut pidfd = 0_i32;
        call(libc::SYS_clone, [seccomp::FORK_FLAGS as usize, 0, (&raw mut pidfd) as usize, 0, 0, 0])
    }),
    ("clone3", |_| call(libc::SYS_clone3, [0; 6])),
    ("recvmsg", |_| call(libc::SYS_recvmsg, [0; 6])),
    ("sendmsg", |_| call(libc::SYS_sendmsg, [0; 6])),
    ("close", |_| call(libc::SYS_close, [INHERITED, 0, 0, 0, 0, 0])),
    ("close_range", |_| call(libc::SYS_close_range, [INHERITED, INHERITED, 0, 0, 0, 0])),
    ("dup3", |_| call(libc::SYS_dup3, [0, INHERITED, 0, 0, 0, 0])),
    ("getppid", |_| call(libc::SYS_getppid, [0; 6])),
    ("outlive_supervisor", |_| call(libc::SYS_prctl, [libc::PR_SET_PDEATHSIG as usize, 0, 0, 0, 0, 0])),
    ("prlimit64", |_| call(libc::SYS_prlimit64, [0, libc::RLIMIT_DATA as usize, 0, 0, 0, 0])),
    ("seccomp", |_| call(libc::SYS_seccomp, [libc::SECCOMP_GET_ACTION_AVAIL as usize, 0, 0, 0, 0, 0])),
    ("landlock_create_ruleset", |_| call(libc::SYS_landlock_create_ruleset, [0, 0, 1, 0, 0, 0])),
    ("tgkill", |target| {
        let pid = target.pid as usize;
        call(libc::SYS_tgkill, [pid, pid, libc::SIGCONT as usize, 0, 0, 0])
    }),
];

/// Applies the requested lockdown, makes one attempt and exits with its result.
///
/// Arguments: the name of the attempt; `bare` (to prove that the attempt works without lockdown), `sealed` (as for
/// scripts), `entered` (all except the system call filter and the last limits), `copy` (as for scripts, in a copy of a
/// template), `entered_copy` (the same without filters) or the name of a layer; a process id; a number. The process id
/// 0 stands for the template of the copy.
pub fn run_probe(arguments: &[String]) -> ! {
    let [name, lockdown, pid, number] = arguments else { platform::exit(EXIT_USAGE) };
    let attempt = ATTEMPTS.iter().find(|(known, _)| known == name);
    let (Some((_, attempt)), Ok(pid), Ok(number)) = (attempt, pid.parse(), number.parse()) else {
        platform::exit(EXIT_USAGE)
    };
    let mut target = Target { pid, number };
    match lockdown.as_str() {
        "bare" => {}
        "copy" => target.pid = become_copy(true),
        "entered_copy" => target.pid = become_copy(false),
        "entered" => drop(Lockdown::enter()),
        "sealed" => Lockdown::enter().seal(128 * 1024 * 1024),
        layer => {
            if !lockdown::apply(layer) {
                platform::exit(EXIT_LAYER);
            }
        }
    }
    let result = attempt(target);
    let error = io::Error::last_os_error().raw_os_error().unwrap_or(EXIT_USAGE);
    platform::exit(if result < 0 { error } else { 0 })
}

/// Makes a copy of this process as a template does, and returns in the copy, with the id of the template.
///
/// The template sends the id of the copy on standard input, which is a socket, and waits until that is closed.
fn become_copy(filtered: bool) -> libc::pid_t {
    let mut lockdown = Lockdown::enter_template();
    let control = child::standard_input();
    let thread_id = fork::thread_id_address();
    let template = std::process::id().cast_signed();
    if filtered && !lockdown.seal_template(128 * 1024 * 1024) {
        platform::exit(EXIT_LAYER);
    }
    // SAFETY: the address is from this thread, and there is no other.
    match unsafe { fork::fork(thread_id) } {
        Ok(Forked::Child) => {
            // To close it is one of the things that are forbidden.
            std::mem::forget(control);
            lockdown.enter_forked();
            if filtered {
                lockdown.seal_forked();
            }
        }
        Ok(Forked::Template { pid, pidfd }) => {
            fork::answer(&control, Some((pid, &pidfd)));
            let _ = std::io::Read::read(&mut &control, &mut [0]);
            platform::exit(0)
        }
        Err(_) => platform::exit(EXIT_LAYER),
    }
    template
}

fn call(number: libc::c_long, arguments: [usize; 6]) -> libc::c_long {
    let [a, b, c, d, e, f] = arguments;
    // SAFETY: every caller passes pointers that are valid during the call, or none.
    unsafe { libc::syscall(number, a, b, c, d, e, f) }
}

fn open(path: &CStr, flags: libc::c_int) -> libc::c_long {
    call(libc::SYS_openat, [libc::AT_FDCWD as usize, path.as_ptr() as usize, flags as usize, 0o600, 0, 0])
}

fn open_proc(pid: libc::pid_t, file: &str) -> libc::c_long {
    let path = std::ffi::CString::new(format!("/proc/{pid}/{file}")).unwrap_or_default();
    open(&path, libc::O_RDONLY)
}

fn connect(target: Target) -> libc::c_long {
    let socket = call(libc::SYS_socket, [libc::AF_INET as usize, libc::SOCK_STREAM as usize, 0, 0, 0, 0]);
    if socket < 0 {
        return socket;
    }
    let address = libc::sockaddr_in {
        sin_family: libc::AF_INET as libc::sa_family_t,
        sin_port: (target.number as u16).to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes([127, 0, 0, 1]) },
        sin_zero: [0; 8],
    };
    let length = size_of_val(&address);
    call(libc::SYS_connect, [socket as usize, (&raw const address) as usize, length, 0, 0, 0])
}

fn fork() -> libc::c_long {
    let child = call(libc::SYS_clone, [libc::SIGCHLD as usize, 0, 0, 0, 0, 0]);
    if child == 0 {
        platform::exit(0);
    }
    child
}

fn execve(path: &CStr, arguments: &[&CStr]) -> libc::c_long {
    let arguments: Vec<_> =
        arguments.iter().map(|argument| argument.as_ptr()).chain([std::ptr::null()]).collect();
    call(libc::SYS_execve, [path.as_ptr() as usize, arguments.as_ptr() as usize, 0, 0, 0, 0])
}

/// Reports on the socket or on standard output that the lockdown is applied, and waits forever.
fn wait() -> libc::c_long {
    for descriptor in [0, 1] {
        call(libc::SYS_write, [descriptor, c"!".as_ptr() as usize, 1, 0, 0, 0]);
    }
    loop {
        std::thread::park();
    }
}

fn process_vm_readv(target: Target) -> libc::c_long {
    let mut byte = 0_u8;
    let local = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
    let remote = libc::iovec { iov_base: target.number as *mut libc::c_void, iov_len: 1 };
    let (local, remote) = ((&raw const local) as usize, (&raw const remote) as usize);
    call(libc::SYS_process_vm_readv, [target.pid as usize, local, 1, remote, 1, 0])
}

fn io_uring_setup(_: Target) -> libc::c_long {
    let mut parameters = [0_u64; 32];
    call(libc::SYS_io_uring_setup, [4, parameters.as_mut_ptr() as usize, 0, 0, 0, 0])
}
