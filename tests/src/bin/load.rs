//! Load program. Measures the time from POST to its response, to the start of the run and to `completed`, at a steady
//! rate.
//!
//! The start is the time that the script reads in its first statement, so client and worker must run on the same
//! machine. That clock has whole milliseconds. So the script waits for the next one and subtracts the waiting time,
//! which is also subtracted from the time to `completed`.
//!
//! The loop is open: a request is sent when it is due, whether or not earlier ones were answered, and its time counts
//! from that moment. So slow responses do not reduce the number of requests.
//!
//! Clients may also poll executions with `ETag`, with a total number of reads per second.
//!
//! With several workspaces, executions are of each workspace in turn, so that no two in a row are of the same one.
//! Their keys are read from standard input, one per line.
//!
//! `load --api-url URL --api-key KEY [--rate 20] [--seconds 30] [--reads 0] [--workspaces 1 <KEYS]`

use anyhow::{Context as _, bail, ensure};
use e2e::{
    client::Client,
    polling::{Pollers, Reads},
};
use reqwest::RequestBuilder;
use serde_json::json;
use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};
use tokio::{sync::mpsc, task::JoinSet};

const SCRIPT: &str = "export function main({ event }) {
    const began = performance.now(), first = Date.now();
    let next;
    do next = Date.now(); while (next === first);
    const waited = performance.now() - began;
    console.log(event.number);
    return { started: next - waited, waited };
}";

struct Options {
    api_url: String,
    api_key: String,
    /// Executions per second.
    rate: u32,
    seconds: u32,
    /// Reads per second of polling clients.
    reads: Option<u32>,
    /// Number of workspaces. The key of the first is `api_key` if there is no other.
    workspaces: u32,
}

impl Options {
    fn parse(mut arguments: impl Iterator<Item = String>) -> anyhow::Result<Self> {
        let (mut api_url, mut api_key, mut reads) = (None, None, None);
        let (mut rate, mut seconds, mut workspaces) = (20, 30, 1);
        while let Some(name) = arguments.next() {
            let value = arguments.next().with_context(|| format!("{name} needs a value"))?;
            let number = || {
                value
                    .parse()
                    .ok()
                    .filter(|n| *n > 0)
                    .with_context(|| format!("{name} must be a number above 0"))
            };
            match name.as_str() {
                "--api-url" => api_url = Some(value),
                "--api-key" => api_key = Some(value),
                "--rate" => rate = number()?,
                "--seconds" => seconds = number()?,
                "--reads" => reads = Some(number()?),
                "--workspaces" => workspaces = number()?,
                _ => bail!("unknown option {name}"),
            }
        }
        ensure!(reads.is_none() || workspaces == 1, "--reads is for one workspace");
        Ok(Self {
            api_url: api_url.context("--api-url is required")?,
            api_key: api_key.context("--api-key is required")?,
            rate,
            seconds,
            reads,
            workspaces,
        })
    }

    /// Returns the keys of the workspaces.
    fn keys(&self) -> anyhow::Result<Vec<String>> {
        if self.workspaces == 1 {
            return Ok(vec![self.api_key.clone()]);
        }
        let wanted = usize::try_from(self.workspaces)?;
        let keys: Vec<_> = std::io::stdin().lines().take(wanted).collect::<Result<_, _>>()?;
        ensure!(keys.len() == wanted, "{} keys on standard input, not {wanted}", keys.len());
        Ok(keys)
    }
}

/// Script of one workspace, with the client that may run it.
struct Workspace {
    client: Client,
    script: String,
}

impl Workspace {
    async fn new(api_url: &str, key: &str) -> anyhow::Result<Self> {
        let client = Client::new(api_url, key);
        let script = client.create_script(&format!("load {}", std::process::id()), SCRIPT).await?;
        Ok(Self { client, script })
    }

    fn execution(&self) -> RequestBuilder {
        self.client.execution(&self.script, &json!({ "number": 1 }))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse(std::env::args().skip(1))?;
    let mut workspaces = Vec::new();
    for key in options.keys()? {
        workspaces.push(Workspace::new(&options.api_url, &key).await?);
    }
    let nobody = Pollers::start(&workspaces[0].client, 0);
    // Warm-up that is not measured: connections, and the builds in the workers' caches.
    for workspace in workspaces.iter().cycle().take(workspaces.len().max(5)) {
        one(&workspace.client, workspace.execution(), Instant::now(), &nobody).await?;
    }
    let pollers = Arc::new(Pollers::start(&workspaces[0].client, options.reads.unwrap_or(0)));

    let total = options.rate * options.seconds;
    let began = Instant::now();
    let mut running = JoinSet::new();
    let mut clock = clock(began, options.rate, total);
    let mut turns = workspaces.iter().cycle();
    let mut take = || turns.next().map(|workspace| (workspace.client.clone(), workspace.execution()));
    let mut next = take();
    while let Some(due) = clock.recv().await {
        let (Some((client, request)), pollers) = (next, Arc::clone(&pollers)) else { break };
        next = take();
        running.spawn(async move { one(&client, request, due, &pollers).await });
    }
    let (mut accepts, mut starts, mut ends, mut failures) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    while let Some(ended) = running.join_next().await {
        match ended? {
            Ok(Times { to_accept, to_start, to_end }) => {
                accepts.push(to_accept);
                starts.push(to_start);
                ends.push(to_end);
            }
            Err(error) => failures.push(error),
        }
    }
    let took = began.elapsed().as_secs_f64();
    println!("{} of {total} completed at {} per second in {took:.1} s", ends.len(), options.rate);
    print_percentiles("POST to answer", accepts);
    print_percentiles("POST to start of run", starts);
    print_percentiles("POST to completed", ends);
    if options.reads.is_some() {
        let pollers = Arc::into_inner(pollers).context("an execution is still told to the pollers")?;
        print_reads(pollers.stop().await?, began.elapsed());
    }
    if let Some(first) = failures.first() {
        bail!("{} failed, the first with: {first:#}", failures.len());
    }
    Ok(())
}

/// Time that the clock waits actively before a request is due, because a sleeping processor wakes up late.
const BUSY_WAIT: Duration = Duration::from_micros(300);

/// Sends a message when each request is due, from a thread of its own: timers of the runtime are up to 2 ms late.
fn clock(began: Instant, rate: u32, total: u32) -> mpsc::Receiver<Instant> {
    let (ticks, clock) = mpsc::channel(64);
    std::thread::spawn(move || {
        for number in 0..total {
            let due = began + Duration::from_secs(1) * number / rate;
            std::thread::sleep(due.saturating_duration_since(Instant::now() + BUSY_WAIT));
            while Instant::now() < due {
                std::hint::spin_loop();
            }
            if ticks.blocking_send(due).is_err() {
                return;
            }
        }
    });
    clock
}

fn print_percentiles(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |per_mille: usize| {
        let time = times.get((times.len() * per_mille / 1000).min(times.len().saturating_sub(1)));
        time.copied().unwrap_or_default().as_secs_f64() * 1000.0
    };
    println!(
        "{what:<20}  p50 {:6.1} ms  p90 {:6.1} ms  p99 {:6.1} ms  max {:6.1} ms",
        at(500),
        at(900),
        at(990),
        at(1000)
    );
}

/// Times since an execution was due.
#[expect(clippy::struct_field_names, reason = "each is the time from the POST to something")]
struct Times {
    /// Time until the client received the acceptance.
    to_accept: Duration,
    /// Time until the script's first statement.
    to_start: Duration,
    /// Time until the client noticed the completion.
    to_end: Duration,
}

async fn one(
    client: &Client,
    request: RequestBuilder,
    due: Instant,
    pollers: &Pollers,
) -> anyhow::Result<Times> {
    let due_by_clock = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.checked_sub(due.elapsed());
    let execution = Client::accepted(request).await?;
    let to_accept = due.elapsed();
    pollers.set_newest(&execution);
    let done = client.terminal(&execution, Duration::from_mins(1)).await?;
    if done["status"] != "completed" {
        bail!("{done}");
    }
    let to_end = due.elapsed();
    let milliseconds = |name: &str| {
        let value = done["result"][name].as_f64().with_context(|| format!("no {name} in {done}"))?;
        anyhow::Ok(Duration::try_from_secs_f64(value / 1000.0)?)
    };
    let to_start = milliseconds("started")?.saturating_sub(due_by_clock.context("a clock before 1970")?);
    let to_end = to_end.saturating_sub(milliseconds("waited")?);
    Ok(Times { to_accept, to_start, to_end })
}

fn print_reads(Reads { unchanged, mut times }: Reads, took: Duration) {
    times.sort_unstable();
    let at = |per_mille: usize| times.get(times.len() * per_mille / 1000).copied().unwrap_or_default();
    println!(
        "{:.0} reads per second, {unchanged} of {} not modified: p50 {:.1} ms, p99 {:.1} ms",
        f64::from(u32::try_from(times.len()).unwrap_or(u32::MAX)) / took.as_secs_f64(),
        times.len(),
        at(500).as_secs_f64() * 1000.0,
        at(990).as_secs_f64() * 1000.0,
    );
}
