//! The load program: how long from POST to `completed`, at a steady rate, as a client sees it.
//!
//! Open loop: a request is sent when its time has come, whether or not earlier ones were answered, and its time
//! counts from when it was due. A slow answer therefore can't hide behind fewer requests.
//!
//! `load --api-url URL --api-key KEY [--rate 20] [--seconds 30]`

use anyhow::{Context as _, bail};
use e2e::client::Client;
use serde_json::json;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

const SCRIPT: &str = "export function main({ event }) { console.log(event.number); return event.number; }";

struct Options {
    api_url: String,
    api_key: String,
    /// Executions per second.
    rate: u32,
    seconds: u32,
}

impl Options {
    fn parse(mut arguments: impl Iterator<Item = String>) -> anyhow::Result<Self> {
        let (mut api_url, mut api_key, mut rate, mut seconds) = (None, None, 20, 30);
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
                _ => bail!("unknown option {name}"),
            }
        }
        Ok(Self {
            api_url: api_url.context("--api-url is required")?,
            api_key: api_key.context("--api-key is required")?,
            rate,
            seconds,
        })
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse(std::env::args().skip(1))?;
    let client = Client::new(&options.api_url, &options.api_key);
    let script = client.create_script(&format!("load {}", std::process::id()), SCRIPT).await?;
    // Not counted: what is made once, such as connections and the build in the workers' caches.
    for _ in 0..5 {
        one(&client, &script, Instant::now()).await?;
    }

    let total = options.rate * options.seconds;
    let began = Instant::now();
    let mut running = JoinSet::new();
    for number in 0..total {
        let due = began + Duration::from_secs(1) * number / options.rate;
        tokio::time::sleep_until(due.into()).await;
        let (client, script) = (client.clone(), script.clone());
        running.spawn(async move { one(&client, &script, due).await });
    }
    let (mut times, mut failures) = (Vec::new(), Vec::new());
    while let Some(ended) = running.join_next().await {
        match ended? {
            Ok(time) => times.push(time),
            Err(error) => failures.push(error),
        }
    }
    times.sort_unstable();
    let at = |per_mille: usize| {
        times.get((times.len() * per_mille / 1000).min(times.len().saturating_sub(1))).copied()
    };
    println!(
        "{} of {total} completed at {} per second in {:.1} s",
        times.len(),
        options.rate,
        began.elapsed().as_secs_f64()
    );
    for (name, per_mille) in [("p50", 500), ("p90", 900), ("p99", 990), ("max", 1000)] {
        println!("{name}  {:8.1} ms", at(per_mille).unwrap_or_default().as_secs_f64() * 1000.0);
    }
    if let Some(first) = failures.first() {
        bail!("{} failed, the first with: {first:#}", failures.len());
    }
    Ok(())
}

/// One execution; how long after `due` the client knew that it completed.
async fn one(client: &Client, script: &str, due: Instant) -> anyhow::Result<Duration> {
    let execution = client.execute(script, json!({ "number": 1 })).await?;
    let done = client.terminal(&execution, Duration::from_mins(1)).await?;
    if done["status"] != "completed" {
        bail!("{done}");
    }
    Ok(due.elapsed())
}
