//! With the isolate assumed broken: what native code in a locked-down process can still do.
//!
//! Each attempt is first made without any lockdown, which shows that it is a real one.

use super::config;
use std::{
    net::TcpListener,
    os::{fd::OwnedFd, unix::net::UnixStream, unix::process::ExitStatusExt as _},
    process::{Child, Command, Stdio},
};
use worker::{
    protocol::{FromSandbox, ToSandbox, frame, read_frame, write_message},
    supervisor::{Pool, PoolConfig, SpawnError, StartError},
};

const WORKER: &str = env!("CARGO_BIN_EXE_worker");
/// The probe's word for a layer that this host does not give.
const NO_SUCH_LAYER: i32 = 251;

#[derive(Debug, PartialEq, Eq)]
enum Met {
    Success,
    Refused(i32),
    /// Killed by the filter of system calls.
    Killed,
    NoSuchLayer,
}

/// A process to aim at, ended with the test.
struct Target(Child);

impl Target {
    fn bystander() -> Self {
        let process = Command::new("sleep").arg("600").spawn().expect("sleep starts");
        Self(process)
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn probe(attempt: &str, lockdown: &str, pid: u32, number: usize) -> Met {
    let (_ours, theirs) = UnixStream::pair().expect("a socket");
    let status = Command::new(WORKER)
        .args(["sandbox-probe", attempt, lockdown, &pid.to_string(), &number.to_string()])
        .env_clear()
        .stdin(OwnedFd::from(theirs))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .expect("the probe runs");
    match (status.code(), status.signal()) {
        (Some(0), _) => Met::Success,
        (Some(NO_SUCH_LAYER), _) => Met::NoSuchLayer,
        (Some(errno), _) => Met::Refused(errno),
        (None, Some(libc::SIGSYS)) => Met::Killed,
        (None, signal) => panic!("{attempt} under {lockdown} ended by signal {signal:?}"),
    }
}

#[test]
fn what_works_outside_is_forbidden_inside() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = usize::from(listener.local_addr().expect("has an address").port());
    let bystander = Target::bystander();
    let here = 7_u8;
    let own_byte = (&raw const here) as usize;
    let attempts = [
        ("open", bystander.pid(), 0),
        ("list", bystander.pid(), 0),
        ("environ_of_other", bystander.pid(), 0),
        ("connect", bystander.pid(), port),
        ("socket", bystander.pid(), 0),
        ("fork", bystander.pid(), 0),
        ("execve", bystander.pid(), 0),
        ("ptrace", bystander.pid(), 0),
        ("process_vm_readv", std::process::id(), own_byte),
        ("kill", bystander.pid(), 0),
        ("memfd_create", bystander.pid(), 0),
    ];
    for (attempt, pid, number) in attempts {
        assert_eq!(probe(attempt, "bare", pid, number), Met::Success, "{attempt}, bare");
        assert_eq!(probe(attempt, "sealed", pid, number), Met::Killed, "{attempt}, sealed");
    }
}

#[test]
fn what_needs_privilege_or_luck_outside_is_forbidden_inside() {
    for attempt in ["create", "memory_of_other", "unshare", "io_uring_setup"] {
        let bystander = Target::bystander();
        assert_eq!(probe(attempt, "sealed", bystander.pid(), 0), Met::Killed, "{attempt}");
    }
}

#[test]
fn each_layer_refuses_by_itself() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = usize::from(listener.local_addr().expect("has an address").port());
    let bystander = Target::bystander();
    let refusals = [
        ("landlock", "open", libc::EACCES),
        ("landlock", "list", libc::EACCES),
        ("landlock", "environ_of_other", libc::EACCES),
        ("landlock", "execve", libc::EACCES),
        ("landlock", "ptrace", libc::EPERM),
        ("landlock", "connect", libc::EACCES),
        ("landlock", "kill", libc::EPERM),
        ("network_namespace", "connect", libc::ENETUNREACH),
        ("capabilities", "unshare", libc::EPERM),
        ("rlimits", "open", libc::EMFILE),
        ("rlimits", "socket", libc::EMFILE),
        ("rlimits", "memfd_create", libc::EMFILE),
    ];
    for (layer, attempt, errno) in refusals {
        let met = probe(attempt, layer, bystander.pid(), port);
        assert!(
            met == Met::Refused(errno) || met == Met::NoSuchLayer,
            "{attempt} under {layer} alone: {met:?}, not {errno}"
        );
    }
}

#[test]
fn one_sandbox_reaches_no_other_even_without_the_filter_of_system_calls() {
    let (sandbox, _socket) = ready_sandbox();
    for attempt in ["ptrace", "process_vm_readv", "memory_of_other", "environ_of_other"] {
        let met = probe(attempt, "entered", sandbox.pid(), 4_096);
        assert!(matches!(met, Met::Refused(libc::EPERM | libc::EACCES | libc::EMFILE)), "{attempt}: {met:?}");
    }
}

/// A sandbox process that waits for a job.
fn ready_sandbox() -> (Target, UnixStream) {
    let snapshot = Command::new(WORKER).arg("snapshot").output().expect("a snapshot").stdout;
    let (mut ours, theirs) = UnixStream::pair().expect("a socket");
    let process = Command::new(WORKER)
        .arg("sandbox")
        .env_clear()
        .stdin(OwnedFd::from(theirs))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the sandbox starts");
    let target = Target(process);
    write_message(&mut ours, &ToSandbox::Prepare { memory_bytes: 64 * 1024 * 1024 }).expect("prepares");
    std::io::Write::write_all(&mut ours, &frame(&snapshot).expect("fits")).expect("sends");
    let first = read_frame(&mut ours).expect("answers");
    assert!(matches!(serde_json::from_slice(&first), Ok(FromSandbox::Ready { .. })));
    (target, ours)
}

#[tokio::test]
async fn strict_pools_start_only_where_every_layer_holds() {
    let pool = Pool::start(config(1)).await.expect("the pool starts");
    let missing = pool.status().missing_layers;
    match Pool::start(PoolConfig { strict: true, ..config(1) }).await {
        Ok(_) => assert!(missing.is_empty(), "{missing:?}"),
        Err(StartError::Spawn(SpawnError::Strict(error))) => assert_eq!(error.missing, missing),
        Err(error) => panic!("{error}"),
    }
}
