//! The server in a process that runs out of descriptors.

use super::server::{self, ServerLimits};
use axum::{Router, routing::get};
use std::{
    env, fs,
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    process::{Child, ChildStdout, Command, Stdio},
    time::Duration,
};
use tokio_util::sync::CancellationToken;

/// Path of the test below, which the child process runs.
const TEST: &str = "http::descriptors_tests::a_server_without_descriptors_serves_on";
/// Variable that is set in the child process.
const CHILD: &str = "RUNNERCTL_TEST_FEW_DESCRIPTORS";
/// Word before the address that the child process prints.
const LISTENING: &str = "listening on ";
/// Descriptors of the child process: a third of the clients.
const DESCRIPTORS: usize = 32;
const CLIENTS: usize = 96;
/// Milliseconds that one request takes. Until it ends, its connection can't be closed for another.
const WORK: Duration = Duration::from_millis(700);
/// Limits, in milliseconds, the processor time of the child. A loop that tries again without a pause uses all of two
/// rounds of [`WORK`] and more.
const MAX_CPU_MS: u64 = 600;
/// Limits, in seconds, what takes a few rounds of [`WORK`] on an idle machine.
const TIMEOUT: Duration = Duration::from_secs(30);

#[test]
#[expect(clippy::disallowed_methods, reason = "a switch of the test, not configuration")]
fn a_server_without_descriptors_serves_on() {
    if env::var_os(CHILD).is_some() {
        return serve_until_stdin_closes();
    }
    let mut child = start_child();
    // The output stays open: the child also prints the end of its test.
    let (address, _output) = address_of(&mut child);
    let clients: Vec<_> = (0..CLIENTS).map(|_| ask(address, "/work")).collect();
    let served =
        clients.into_iter().filter_map(answer).filter(|text| text.starts_with("HTTP/1.1 200")).count();
    assert!(served > DESCRIPTORS / 2, "{served} served");
    let cpu = answer(ask(address, "/cpu")).expect("answers when descriptors are free again");
    let cpu: u64 = cpu.rsplit("\r\n").next().and_then(|body| body.parse().ok()).expect("milliseconds");
    assert!(cpu < MAX_CPU_MS, "used {cpu} ms of processor time");
    drop(child.stdin.take());
    assert!(child.wait().expect("ends").success());
}

fn start_child() -> Child {
    let limited = format!("ulimit -n {DESCRIPTORS} && exec \"$0\" \"$@\"");
    Command::new("sh")
        .args(["-c", &limited])
        .arg(env::current_exe().expect("has a path"))
        .args(["--exact", TEST, "--nocapture"])
        .env(CHILD, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("starts")
}

fn address_of(child: &mut Child) -> (SocketAddr, BufReader<ChildStdout>) {
    let mut output = BufReader::new(child.stdout.take().expect("is piped"));
    loop {
        let mut line = String::new();
        assert_ne!(output.read_line(&mut line).expect("is text"), 0, "ended before it listened");
        if let Some((_, address)) = line.trim_end().split_once(LISTENING) {
            return (address.parse().expect("is an address"), output);
        }
    }
}

fn ask(address: SocketAddr, path: &str) -> TcpStream {
    let mut client = TcpStream::connect(address).expect("connects");
    client.set_read_timeout(Some(TIMEOUT)).expect("takes a time limit");
    // An error is noticed when the answer is read.
    let _ = write!(client, "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    client
}

/// Returns the whole answer, or `None` if the server closed the connection to free its descriptor.
fn answer(mut client: TcpStream) -> Option<String> {
    let mut text = String::new();
    match client.read_to_string(&mut text) {
        Ok(_) => Some(text).filter(|text| !text.is_empty()),
        Err(error) => {
            assert_ne!(error.kind(), io::ErrorKind::WouldBlock, "no answer within {TIMEOUT:?}");
            None
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn serve_until_stdin_closes() {
    let app = Router::new()
        .route("/work", get(|| tokio::time::sleep(WORK)))
        .route("/cpu", get(|| async { cpu_ms().to_string() }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("binds");
    println!("{LISTENING}{}", listener.local_addr().expect("has an address"));
    let stopping = CancellationToken::new();
    let stop = stopping.clone();
    std::thread::spawn(move || {
        let _ = io::stdin().read_to_end(&mut Vec::new());
        stop.cancel();
    });
    // More connections than descriptors, so that accepting fails before the table is full.
    server::serve(listener, app, ServerLimits::with_connections(10 * CLIENTS), stopping).await;
}

/// Returns the processor time of this process, in milliseconds.
fn cpu_ms() -> u64 {
    let stat = fs::read_to_string("/proc/self/stat").expect("is Linux");
    // Fields 14 and 15, in hundredths of a second. The name in parentheses before them may contain spaces.
    let fields = stat.rsplit_once(')').expect("has a name").1.split_ascii_whitespace().skip(11).take(2);
    fields.map(|ticks| ticks.parse::<u64>().expect("is a number") * 10).sum()
}
