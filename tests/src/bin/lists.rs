//! Load program for lists. Measures the time of a page by filter, and the effect of one workspace's lists on another.
//!
//! The history is that of `tests/history.sql`. The keys belong to its workspaces 1 and 5.
//!
//! `lists --api-url URL --api-key KEY --other-key KEY --weeks 13 [--requests 200]`

use anyhow::{Context as _, bail};
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use e2e::client::Client;
use reqwest::Method;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Maximum time for measuring one filter, because responses may take as long as their time limit.
const MAX_MEASURING_TIME: Duration = Duration::from_secs(20);
/// Number of concurrent requests of the workspace that floods the api.
const CONCURRENT_REQUESTS: usize = 24;
/// Script with two thirds of the executions of workspace 1.
const SCRIPT: &str = "00000000-0000-7000-9000-000000000064";

struct ListOptions {
    api_url: String,
    api_key: String,
    other_key: String,
    weeks: i64,
    requests: usize,
}

impl ListOptions {
    fn parse(mut arguments: impl Iterator<Item = String>) -> anyhow::Result<Self> {
        let (mut api_url, mut api_key, mut other_key, mut weeks, mut requests) =
            (None, None, None, None, 200);
        while let Some(name) = arguments.next() {
            let value = arguments.next().with_context(|| format!("{name} needs a value"))?;
            match name.as_str() {
                "--api-url" => api_url = Some(value),
                "--api-key" => api_key = Some(value),
                "--other-key" => other_key = Some(value),
                "--weeks" => weeks = Some(value.parse()?),
                "--requests" => requests = value.parse()?,
                _ => bail!("unknown option {name}"),
            }
        }
        Ok(Self {
            api_url: api_url.context("--api-url is required")?,
            api_key: api_key.context("--api-key is required")?,
            other_key: other_key.context("--other-key is required")?,
            weeks: weeks.context("--weeks is required")?,
            requests,
        })
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let options = ListOptions::parse(std::env::args().skip(1))?;
    let client = Client::new(&options.api_url, &options.api_key);
    println!(
        "{:<58} {:>4} {:>9} {:>9} {:>9}  not answered 200",
        "GET /executions/?", "rows", "p50 ms", "p99 ms", "max ms"
    );
    for filter in filters(options.weeks) {
        let path = format!("/executions/?{filter}");
        let mut times = AnswerTimes::default();
        let began = Instant::now();
        while times.answers.len() < options.requests && began.elapsed() < MAX_MEASURING_TIME {
            times.ask(&client, &path).await?;
        }
        println!("{filter:<58} {:>4} {times}", times.rows);
    }
    measure_neighbour(&options, &client).await
}

/// Makes the filters: for each kind one that matches many executions and one that matches none.
fn filters(weeks: i64) -> Vec<String> {
    let ago = |days: i64| -> DateTime<Utc> { Utc::now() - TimeDelta::days(days) };
    let text = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Secs, true);
    let (half, whole) = (text(ago(weeks * 7 / 2)), text(ago(weeks * 7 + 1)));
    let day = text(ago(weeks * 7 / 2 - 1));
    let mut filters = vec![String::new()];
    for status in ["completed", "errored", "cancelled", "queued", "running"] {
        filters.push(format!("status={status}"));
    }
    filters.extend(["automation", "api"].map(|trigger| format!("trigger_type={trigger}")));
    filters.push(format!("script_id={SCRIPT}"));
    filters.push(format!("script_id={SCRIPT}&status=errored"));
    filters.push(format!("script_id={SCRIPT}&trigger_type=api"));
    filters.push(format!("created_before={half}"));
    filters.push(format!("created_before={whole}"));
    filters.push(format!("created_after={half}"));
    filters.push(format!("created_after={half}&created_before={day}"));
    filters.push(format!("created_before={half}&status=errored"));
    filters.push(format!("created_before={half}&trigger_type=cron"));
    filters.push("trigger_type=workflow_transition&status=cancelled".to_owned());
    filters
}

/// Measures the lists of another workspace while one continuously requests lists that match nothing.
async fn measure_neighbour(options: &ListOptions, client: &Client) -> anyhow::Result<()> {
    let mut flood = JoinSet::new();
    for number in 0..CONCURRENT_REQUESTS {
        let client = client.clone();
        let filter =
            ["status=errored", "trigger_type=api", "created_before=2020-01-01T00:00:00Z"][number % 3];
        flood.spawn(async move {
            loop {
                // Rejected requests count, too.
                drop(client.send(Method::GET, &format!("/executions/?{filter}"), String::new()).await);
            }
        });
    }
    let other = Client::new(&options.api_url, &options.other_key);
    println!(
        "\n{:<63} {:>9} {:>9} {:>9}  not answered 200",
        format!("another workspace, {CONCURRENT_REQUESTS} such lists at once beside it"),
        "p50 ms",
        "p99 ms",
        "max ms"
    );
    for path in ["/executions/", "/scripts/", "/environment/", "/api-keys/"] {
        let mut times = AnswerTimes::default();
        let began = Instant::now();
        while times.answers.len() < options.requests && began.elapsed() < MAX_MEASURING_TIME {
            times.ask(&other, path).await?;
        }
        println!("GET {path:<59} {times}");
    }
    Ok(())
}

#[derive(Default)]
struct AnswerTimes {
    /// Times of all responses.
    answers: Vec<Duration>,
    /// Number of responses other than 200.
    refused: usize,
    /// Number of rows on the last page.
    rows: usize,
}

impl AnswerTimes {
    async fn ask(&mut self, client: &Client, path: &str) -> anyhow::Result<()> {
        let began = Instant::now();
        let (status, answer) = client.send(Method::GET, path, String::new()).await?;
        self.answers.push(began.elapsed());
        if status == 200 {
            self.rows = answer["results"].as_array().map_or(0, Vec::len);
        } else {
            self.refused += 1;
        }
        Ok(())
    }
}

impl std::fmt::Display for AnswerTimes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut times = self.answers.clone();
        times.sort_unstable();
        let at = |per_mille: usize| {
            let time = times.get((times.len() * per_mille / 1000).min(times.len().saturating_sub(1)));
            time.copied().unwrap_or_default().as_secs_f64() * 1000.0
        };
        write!(f, "{:9.1} {:9.1} {:9.1}  {} of {}", at(500), at(990), at(1000), self.refused, times.len())
    }
}
