//! Servers that never stop sending, fetched by the runs of one workspace, beside the runs of another and the worker's `/health`.

use anyhow::ensure;
use e2e::{
    client::{Client, http},
    stack::Stack,
};
use serde_json::json;
use std::{
    cell::Cell,
    fmt,
    time::{Duration, Instant},
};
use test_support::{Endless, HostileServer};
use tokio::time::interval;

/// Fetches ten times at once.
const ATTACK: &str = "export async function main({ event }) {
    const ask = async () => (await fetch(event.url)).text();
    return Promise.all(Array.from({ length: 10 }, () => ask().catch((error) => error.message)));
}";
/// `EXECUTION_TIMEOUT_MS` of the worker.
const LIMIT_MS: u64 = 3_000;
/// Milliseconds beyond its limit within which a run has ended, whatever a server does.
const OVERTIME_MS: u64 = 500;
/// Number of the other workspace's runs, one after the other.
const VICTIMS: usize = 20;
/// Limits the time of one of them, and of one answer of `/health`, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(5);

#[tokio::test]
async fn an_endless_answer_delays_neither_health_nor_other_runs() -> anyhow::Result<()> {
    let limit = LIMIT_MS.to_string();
    let settings = [
        ("SANDBOX_ALLOW_PRIVATE_NETWORK", "127.0.0.1"),
        ("WORKER_CONCURRENCY", "4"),
        ("EXECUTION_TIMEOUT_MS", &limit),
    ];
    let stack = Stack::start(&settings).await?;
    let other = stack.client_of_workspace("other").await?;
    let victim = other.create_script("victim", "export function main() { return 1; }").await?;
    for endless in [Endless::InterimHeads, Endless::TinyChunks, Endless::ChunkZeros, Endless::EmptyBlocks] {
        let times = measure(&stack, &other, &victim, endless).await?;
        println!("{endless:?}: {times}");
        let overtime = Duration::from_millis(LIMIT_MS + OVERTIME_MS);
        assert!(times.attacks.longest() < overtime, "{endless:?}: {times}");
        assert!(times.victims.longest() < PATIENCE, "{endless:?}: {times}");
        assert!(times.health.longest() < PATIENCE, "{endless:?}: {times}");
    }
    Ok(())
}

/// Attacks for as long as the victims take.
async fn measure(
    stack: &Stack,
    other: &Client,
    victim: &str,
    endless: Endless,
) -> anyhow::Result<VictimTimes> {
    let server = HostileServer::start(endless);
    let mut times = VictimTimes::default();
    let enough = Cell::new(false);
    let attack = attack(&stack.client, &server, &mut times.attacks, &enough);
    let victims = async {
        run_victims(other, victim, &mut times.victims).await?;
        enough.set(true);
        Ok(())
    };
    tokio::select! {
        done = async { tokio::try_join!(victims, attack) } => done.map(drop)?,
        failed = ask_health(stack, &mut times.health) => failed?,
    }
    Ok(times)
}

/// Measures each run from its request to its recorded end.
async fn run_victims(client: &Client, script: &str, took: &mut Durations) -> anyhow::Result<()> {
    for _ in 0..VICTIMS {
        let began = Instant::now();
        let execution = client.execute(script, json!({})).await?;
        let done = client.terminal(&execution, Duration::from_mins(5)).await?;
        ensure!(done["status"] == "completed", "{done}");
        took.0.push(began.elapsed());
    }
    Ok(())
}

/// Runs the attack again and again until it is enough, and collects `duration_ms` of each run.
async fn attack(
    client: &Client,
    server: &HostileServer,
    took: &mut Durations,
    enough: &Cell<bool>,
) -> anyhow::Result<()> {
    let host = server.address().to_string();
    let script = json!({
        "name": format!("fetches {host}"), "code": ATTACK, "code_type": "main_fn", "trigger_type": "automation",
        "allowed_domains": [host],
    });
    let (_, script) = client.post("/scripts/", &script).await?;
    let script = script["id"].as_str().unwrap_or_default().to_owned();
    while !enough.get() {
        let execution = client.execute(&script, json!({ "url": format!("http://{host}/") })).await?;
        let done = client.terminal(&execution, Duration::from_mins(5)).await?;
        took.0.push(Duration::from_millis(done["duration_ms"].as_u64().unwrap_or(u64::MAX)));
    }
    Ok(())
}

/// Asks the worker's `/health` every 50 ms, and never ends by itself.
async fn ask_health(stack: &Stack, took: &mut Durations) -> anyhow::Result<()> {
    let mut ticks = interval(Duration::from_millis(50));
    loop {
        ticks.tick().await;
        let _request = Request { took, began: Instant::now() };
        let answer = http().get(format!("{}/health", stack.worker.url())).send().await?;
        ensure!(answer.status().is_success(), "/health: {}", answer.status());
    }
}

/// Records the time of a request when it is dropped: one that has no answer at the end of the test counts as well.
struct Request<'a> {
    took: &'a mut Durations,
    began: Instant,
}

impl Drop for Request<'_> {
    fn drop(&mut self) {
        self.took.0.push(self.began.elapsed());
    }
}

/// The times of one attack.
#[derive(Default)]
struct VictimTimes {
    attacks: Durations,
    victims: Durations,
    health: Durations,
}

impl fmt::Display for VictimTimes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { attacks, victims, health } = self;
        write!(f, "attacking runs: {attacks}, victims: {victims}, /health: {health}")
    }
}

#[derive(Default)]
struct Durations(Vec<Duration>);

impl Durations {
    /// Returns the longest; nothing measured is longer than any limit.
    fn longest(&self) -> Duration {
        self.0.iter().max().copied().unwrap_or(Duration::MAX)
    }
}

impl fmt::Display for Durations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let at = |percent: usize| sorted.get(sorted.len().saturating_sub(1) * percent / 100);
        write!(f, "{} times, p50 {:?}, p99 {:?}, longest {:?}", sorted.len(), at(50), at(99), sorted.last())
    }
}
