//! Sandbox processes whose supervisor dies.

use super::{
    eventually,
    processes::{children_of, seen},
};
use std::{
    io::Read as _,
    os::{fd::OwnedFd, unix::net::UnixStream},
    process::{Command, Stdio},
    time::Duration,
};

/// Kills the supervisor of processes that never read their socket, and waits for their end.
async fn processes_end_with_their_supervisor(lockdown: &str, told_bytes: usize, processes: usize) {
    let (mut ours, theirs) = UnixStream::pair().expect("a socket");
    ours.set_read_timeout(Some(Duration::from_secs(10))).expect("is a duration");
    // The shell starts the process as a supervisor does. Its own input stays open, so that nothing ends for want of it.
    let script = "exec 3<&0; \"$0\" sandbox-probe wait \"$1\" 0 0 <&3 & wait";
    let mut supervisor = Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_worker"), lockdown])
        .env_clear()
        .stdin(OwnedFd::from(theirs))
        .stdout(Stdio::null())
        .spawn()
        .expect("a shell starts");
    ours.read_exact(&mut vec![0; told_bytes]).expect("every process is locked down");
    let started = children_of(supervisor.id());
    assert_eq!(started.len(), processes, "the processes are children of their supervisor");
    supervisor.kill().expect("is ours");
    supervisor.wait().expect("is ours");
    eventually("the processes end with their supervisor", || {
        started.iter().all(|process| seen(process.id).is_none_or(|seen| seen.state == "Z"))
    })
    .await;
}

#[tokio::test]
async fn a_taken_over_process_ends_with_its_supervisor() {
    // It tells that it is locked down.
    processes_end_with_their_supervisor("sealed", 1, 1).await;
}

#[tokio::test]
async fn a_taken_over_copy_ends_with_its_supervisor() {
    // The template tells the id of the copy as well.
    processes_end_with_their_supervisor("copy", 1 + size_of::<i32>(), 2).await;
}
