//! Runs that fetch from servers which never end what they began to send.

use super::{
    tls::{acceptor, fetcher_trusting},
    *,
};
use crate::sandbox::{self, Finished, bare_context, job, patient_limits, short_limits};
use sandbox_protocol::Job;
use serde_json::Value;
use shared::{execution::ErrorCode, outcome::Verdict};
use std::time::{Duration, Instant};
use test_support::{
    Endless::{self, *},
    HostileServer,
};
use tokio::{
    net::TcpListener,
    time::{interval, timeout},
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use worker::testing::supervisor::{Pool, PoolConfig, RunContext};

/// Time beyond its limit within which a run has ended, whatever a server does.
const OVERTIME: Duration = Duration::from_millis(500);
/// Limits the time of a run that needs some milliseconds, for a busy machine.
const PATIENCE: Duration = Duration::from_secs(10);

/// The result of one fetch.
#[derive(Clone, Copy, Debug)]
enum Expected {
    /// An error of the network, behind `Request to HOST failed: `.
    Failed(&'static str),
    /// The body, or another error.
    Text(&'static str),
    /// No answer, until the run's time is up.
    Timeout,
}
use Expected::{Failed, Text};

const FLOOD: Expected = Failed("the server sends interim responses, control frames or framing without end");
const NO_HTTP: Expected = Failed("the server does not speak HTTP");
const LARGE_HEAD: Expected = Text("Response headers too large: over 65536 bytes or 256 lines");

fn expected(endless: Endless) -> Expected {
    match endless {
        InterimHeads | DrippedInterimHeads | InterimFrames | ChunkZeros | ChunkBlanks | Pings | Settings
        | WindowUpdates | UnknownFrames => FLOOD,
        InterimLine | HeadLine | BlankLines => LARGE_HEAD,
        ChunkExtension | Trailers => NO_HTTP,
        EmptyBlocks => Text("Response too large: over 1048576 bytes"),
        EmptyChunks => Text(""),
        EmptyData | Continuations => Failed("the connection broke"),
        Silence | DrippedHead | DrippedBody | TinyChunks => Expected::Timeout,
    }
}

/// A job that fetches `url` so many times at once, and returns each body or error.
fn fetching(url: &str, times: usize, limits: Limits) -> Job {
    let code = format!(
        "export async function main() {{
            const ask = async () => (await fetch('{url}')).text();
            return Promise.all(Array.from({{ length: {times} }}, () => ask().catch((error) => error.message)));
        }}"
    );
    Job { limits, ..job(&code) }
}

/// Limits that end a run soon, with a limit of responses that is reached long before on a busy machine as well.
fn limits(endless: Endless) -> Limits {
    let response_bytes = if endless == EmptyBlocks { 1 << 20 } else { Limits::default().response_bytes };
    Limits { init_timeout: Duration::from_mins(1), response_bytes, ..short_limits() }
}

async fn pool(slots: usize, fetcher: Fetcher) -> Arc<Pool> {
    Pool::start(PoolConfig { fetcher: Arc::new(fetcher), ..sandbox::config(slots) }).await.unwrap()
}

async fn run(pool: &Arc<Pool>, job: Job, allowed: &str) -> Finished {
    let allowed_domains = vec![allowed.to_owned()];
    sandbox::run_with(pool, job, |logs| RunContext { allowed_domains, ..bare_context(logs) }).await
}

/// Runs a script that fetches once, and checks the time it takes and its result.
async fn check(pool: &Arc<Pool>, endless: Endless, scheme: &str, host: &str) {
    let limits = limits(endless);
    let latest = limits.execution_timeout + OVERTIME;
    let finished = run(pool, fetching(&format!("{scheme}://{host}/"), 1, limits), host).await;
    assert!(finished.outcome.usage.run < latest, "{endless:?}: {:?}", finished.outcome);
    let text = match expected(endless) {
        Expected::Timeout => return assert_eq!(finished.error_code(), ErrorCode::Timeout, "{endless:?}"),
        Failed(reason) => format!("Request to {host} failed: {reason}"),
        Text(text) => text.to_owned(),
    };
    assert_eq!(finished.result(), Value::from(vec![text]), "{endless:?}");
}

#[tokio::test]
async fn a_run_ends_in_time_whatever_its_server_sends() {
    let pool = pool(1, fetcher()).await;
    for endless in Endless::HTTP_1 {
        let server = HostileServer::start(endless);
        check(&pool, endless, "http", &server.address().to_string()).await;
    }
}

#[tokio::test]
async fn a_run_ends_in_time_over_tls_and_http_2_too() {
    for (protocol, attacks) in [("http/1.1", &Endless::HTTP_1[..]), ("h2", &Endless::HTTP_2)] {
        let (tls, certificate) = acceptor(&[protocol]);
        let pool = pool(1, fetcher_trusting(vec![certificate])).await;
        for &endless in attacks {
            let tls = tls.clone();
            let server = HostileServer::behind(endless, move |tcp| tls.accept(tcp));
            check(&pool, endless, "https", &format!("secure.example:{}", server.address().port())).await;
        }
    }
}

#[tokio::test]
async fn a_run_ends_in_time_while_a_server_accepts_no_tls() {
    let pool = pool(1, fetcher()).await;
    // The system accepts connections for a listener that never does.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    check(&pool, Silence, "https", &listener.local_addr().unwrap().to_string()).await;
}

/// Measures the longest gap between two turns of a task that wants one every 10 ms, until it is dropped.
struct Ticker {
    longest: Arc<Mutex<Duration>>,
    _task: AbortOnDropHandle<()>,
}

impl Ticker {
    /// Limits the time that a task may wait for a thread of the worker's runtime on a busy machine.
    const LONGEST_GAP: Duration = Duration::from_secs(1);

    fn start() -> Self {
        let longest = Arc::new(Mutex::new(Duration::ZERO));
        let measured = Arc::clone(&longest);
        let task = tokio::spawn(async move {
            let mut ticks = interval(Duration::from_millis(10));
            let mut last = Instant::now();
            loop {
                ticks.tick().await;
                let mut longest = measured.lock().unwrap();
                *longest = last.elapsed().max(*longest);
                last = Instant::now();
            }
        });
        Self { longest, _task: AbortOnDropHandle::new(task) }
    }

    fn longest_gap(&self) -> Duration {
        *self.longest.lock().unwrap()
    }
}

/// Runs scripts of another workspace one after the other, and returns the longest time that one took.
async fn run_victims(pool: &Arc<Pool>, endless: Endless) -> Duration {
    let mut longest = Duration::ZERO;
    for number in 0..10 {
        let victim = job(&format!("export function main() {{ return {number}; }}"));
        let victim = Job { workspace_slug: "other".to_owned(), ..victim };
        let began = Instant::now();
        let finished = timeout(PATIENCE, run(pool, victim, "example.com")).await.expect("the run ends");
        assert!(matches!(finished.outcome.verdict, Verdict::Completed(_)), "{endless:?}");
        longest = longest.max(began.elapsed());
    }
    longest
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_runs_go_on_beside_servers_that_never_stop() {
    let pool = pool(2, fetcher()).await;
    for endless in [InterimHeads, TinyChunks, ChunkZeros, Trailers, EmptyBlocks] {
        let server = HostileServer::start(endless);
        let host = server.address().to_string();
        // Ten fetches at a time, for as long as the victims take.
        let attack = async {
            loop {
                run(&pool, fetching(&format!("http://{host}/"), 10, limits(endless)), &host).await;
            }
        };
        let ticker = Ticker::start();
        let longest = tokio::select! {
            longest = run_victims(&pool, endless) => longest,
            () = attack => unreachable!("the attack has no end"),
        };
        let gap = ticker.longest_gap();
        println!("{endless:?}: a victim took {longest:?} at most, the longest gap was {gap:?}");
        assert!(gap < Ticker::LONGEST_GAP, "{endless:?}: {gap:?}");
    }
}

#[tokio::test]
async fn cancelling_a_run_closes_its_connections() {
    let pool = pool(1, fetcher()).await;
    for endless in [Silence, TinyChunks, DrippedHead] {
        let server = HostileServer::start(endless);
        let host = server.address().to_string();
        let (cancel, allowed_domains) = (CancellationToken::new(), vec![host.clone()]);
        let job = fetching(&format!("http://{host}/"), 3, patient_limits());
        let running = sandbox::run_with(&pool, job, |logs| RunContext {
            allowed_domains,
            cancel: cancel.clone(),
            ..bare_context(logs)
        });
        let cancelling = async {
            server.connections(3).await;
            cancel.cancel();
        };
        let (finished, ()) = tokio::join!(running, cancelling);
        assert_eq!(finished.error_code(), ErrorCode::Cancelled, "{endless:?}");
        timeout(PATIENCE, server.connections(0)).await.expect("its connections are closed");
    }
}
