//! Attempts of native code to escape from a locked-down process, with the isolate assumed broken.
//!
//! Each attempt is first made without any lockdown, which shows that it can succeed.

use super::config;
use rustix::process::{Pid, WaitOptions, waitpid};
use sandbox_protocol::{FromSandbox, ToSandbox, frame, read_frame, write_message};
use std::{
    fs,
    io::Read as _,
    net::TcpListener,
    os::{
        fd::OwnedFd,
        unix::{
            fs::MetadataExt as _,
            net::UnixStream,
            process::{CommandExt as _, ExitStatusExt as _},
        },
    },
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
};
use uuid::Uuid;
use worker::testing::supervisor::{Pool, PoolConfig, PoolStartError, SpawnError};

const WORKER: &str = env!("CARGO_BIN_EXE_worker");
/// Exit code of the probe for a layer that this host does not support.
const NO_SUCH_LAYER: i32 = 251;

#[derive(Debug, PartialEq, Eq)]
enum Met {
    Success,
    Refused(i32),
    /// The filter of system calls killed the process.
    Killed,
    NoSuchLayer,
}

/// Target process of an attempt. It ends with the test.
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
    met(attempt, lockdown, status)
}

/// Makes an attempt in a copy of a template. The process id 0 stands for the template.
fn probe_in_copy(attempt: &str, lockdown: &str, pid: u32, number: usize) -> Met {
    let (mut ours, theirs) = UnixStream::pair().expect("a socket");
    let _template = Target(
        Command::new(WORKER)
            .args(["sandbox-probe", attempt, lockdown, &pid.to_string(), &number.to_string()])
            .env_clear()
            .stdin(OwnedFd::from(theirs))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the probe runs"),
    );
    let mut copy = [0; 4];
    ours.read_exact(&mut copy).expect("the template makes a copy");
    let copy = Pid::from_raw(i32::from_le_bytes(copy)).expect("is a process id");
    let (_, status) = waitpid(Some(copy), WaitOptions::empty()).expect("is a child").expect("has ended");
    met(attempt, lockdown, ExitStatus::from_raw(status.as_raw()))
}

fn met(attempt: &str, lockdown: &str, status: ExitStatus) -> Met {
    match (status.code(), status.signal()) {
        (Some(0), _) => Met::Success,
        (Some(NO_SUCH_LAYER), _) => Met::NoSuchLayer,
        (Some(errno), _) => Met::Refused(errno),
        (None, Some(libc::SIGSYS)) => Met::Killed,
        (None, signal) => panic!("{attempt} under {lockdown} ended by signal {signal:?}"),
    }
}

/// User id of `nobody` on Linux.
const NOBODY: u32 = 65_534;

fn is_root() -> bool {
    fs::metadata("/proc/self").expect("procfs").uid() == 0
}

/// Copy of a program that every user may start. Dropping the value deletes it.
struct Installed(PathBuf);

impl Installed {
    fn new(program: &str, mode: &str) -> Self {
        let path = std::env::temp_dir().join(format!("sandbox-probe-{}", Uuid::now_v7()));
        // Another process copies, since a file that this process had open for writing could not be started.
        let status = Command::new("install").args(["-m", mode, program]).arg(&path).status();
        assert!(status.expect("coreutils is there").success(), "{program} is installed");
        Self(path)
    }
}

impl Drop for Installed {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Probe that runs as a user other than root, since several layers do not bind root. `inherited` is open as descriptor 9.
struct Unprivileged {
    program: Installed,
    inherited: PathBuf,
}

impl Unprivileged {
    fn new(inherited: &Path) -> Self {
        // The target folder may be in one that other users may not read.
        Self { program: Installed::new(WORKER, "755"), inherited: inherited.to_owned() }
    }

    fn command(&self, attempt: &str, lockdown: &str, pid: u32) -> Command {
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", r#"exec 9<"$0"; exec "$@""#])
            .args([&self.inherited, &self.program.0])
            .args(["sandbox-probe", attempt, lockdown, &pid.to_string(), "0"])
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        if is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    }

    fn probe(&self, attempt: &str, lockdown: &str, pid: u32) -> Met {
        let status = self.command(attempt, lockdown, pid).status().expect("the probe runs");
        met(attempt, lockdown, status)
    }
}

#[test]
fn layers_that_exempt_root_bind_unprivileged_users() {
    let refusals = [
        ("descriptors", "read_inherited", libc::EBADF),
        ("memory_rlimit", "mmap", libc::ENOMEM),
        ("process_rlimit", "fork", libc::EAGAIN),
        ("rlimits", "raise_core_limit", libc::EPERM),
    ];
    let somebody = Unprivileged::new(Path::new("/proc/version"));
    for (layer, attempt, errno) in refusals {
        assert_eq!(somebody.probe(attempt, "bare", 1), Met::Success, "{attempt}, bare");
        assert_eq!(somebody.probe(attempt, layer, 1), Met::Refused(errno), "{attempt} under {layer}");
    }
}

#[test]
fn a_non_empty_environment_is_reported_as_a_missing_layer() {
    assert_eq!(probe("nothing", "environment", 1, 0), Met::Success);
    let (_ours, theirs) = UnixStream::pair().expect("a socket");
    let mut command = Command::new(WORKER);
    command.args(["sandbox-probe", "nothing", "environment", "1", "0"]).stdin(OwnedFd::from(theirs));
    let status = command.env("DATABASE_URL", "postgres://user:secret@db").status().expect("the probe runs");
    assert_eq!(met("nothing", "environment", status), Met::NoSuchLayer);
}

#[test]
fn a_non_dumpable_process_is_not_traced_by_its_own_user() {
    let somebody = Unprivileged::new(Path::new("/dev/null"));
    let trace = |layer: &str| {
        let mut peer = somebody.command("wait", layer, 1);
        let mut peer = Target(peer.stdout(Stdio::piped()).spawn().expect("the peer starts"));
        let mut told = [0];
        peer.0.stdout.as_mut().expect("is piped").read_exact(&mut told).expect("it is locked down");
        somebody.probe("ptrace", "bare", peer.pid())
    };
    if trace("bare") == Met::Refused(libc::EPERM) {
        println!("this host lets no process trace its equals (Yama)");
        return;
    }
    assert_eq!(trace("bare"), Met::Success);
    assert_eq!(trace("not_dumpable"), Met::Refused(libc::EPERM));
}

#[test]
fn a_setuid_program_gives_no_privileges_in_the_sandbox() {
    if !is_root() {
        println!("only root can make such a program");
        return;
    }
    let program = Installed::new("/usr/bin/test", "4755");
    let somebody = Unprivileged::new(&program.0);
    let [bare, inside] =
        ["bare", "no_new_privs"].map(|lockdown| somebody.probe("execve_inherited", lockdown, 1));
    assert_eq!(bare, Met::Success, "it reads what root alone may read");
    assert_eq!(inside, Met::Refused(libc::EPERM));
}

#[test]
fn ordinary_system_calls_are_forbidden_in_the_sandbox() {
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
        assert_eq!(probe_in_copy(attempt, "copy", pid, number), Met::Killed, "{attempt}, in a copy");
    }
}

#[test]
fn copies_may_not_do_what_only_a_template_may() {
    assert_eq!(probe_in_copy("nothing", "copy", 0, 0), Met::Success);
    for attempt in [
        "fork",
        "copy",
        "clone3",
        "recvmsg",
        "sendmsg",
        "close",
        "close_range",
        "dup3",
        "getppid",
        "outlive_supervisor",
        "prlimit64",
        "seccomp",
        "landlock_create_ruleset",
        "tgkill",
    ] {
        assert_eq!(probe_in_copy(attempt, "copy", 0, 0), Met::Killed, "{attempt}");
    }
}

#[test]
fn a_copy_without_seccomp_cannot_reach_its_template() {
    for attempt in ["ptrace", "process_vm_readv", "memory_of_other", "environ_of_other", "kill", "tgkill"] {
        let met = probe_in_copy(attempt, "entered_copy", 0, 4_096);
        assert!(matches!(met, Met::Refused(libc::EPERM | libc::EACCES | libc::EMFILE)), "{attempt}: {met:?}");
    }
}

#[test]
fn system_calls_that_may_need_privilege_are_forbidden() {
    for attempt in ["create", "memory_of_other", "unshare", "io_uring_setup"] {
        let bystander = Target::bystander();
        assert_eq!(probe(attempt, "sealed", bystander.pid(), 0), Met::Killed, "{attempt}");
        assert_eq!(probe_in_copy(attempt, "copy", bystander.pid(), 0), Met::Killed, "{attempt}, in a copy");
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
fn a_sandbox_without_seccomp_cannot_reach_another_sandbox() {
    let (sandbox, _socket) = ready_sandbox();
    for attempt in ["ptrace", "process_vm_readv", "memory_of_other", "environ_of_other"] {
        let met = probe(attempt, "entered", sandbox.pid(), 4_096);
        assert!(matches!(met, Met::Refused(libc::EPERM | libc::EACCES | libc::EMFILE)), "{attempt}: {met:?}");
    }
}

/// Starts a sandbox process that waits for a job.
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
        Err(PoolStartError::Spawn(SpawnError::Strict(error))) => assert_eq!(error.missing, missing),
        Err(error) => panic!("{error}"),
    }
}
