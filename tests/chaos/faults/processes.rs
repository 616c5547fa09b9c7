//! Faults of processes: they end, freeze or have the wrong time.

use crate::{cluster::Cluster, random::Random};
use anyhow::{Context as _, ensure};
use chrono::{DateTime, TimeDelta, Utc};
use e2e::{client::http, program::Program};
use std::{
    process::ExitStatus,
    time::{Duration, Instant},
};
use tokio::time::sleep;

/// Duration of a freeze: longer than a lease (10 s) and the reaper's interval together.
const FREEZE_TIME: Duration = Duration::from_secs(13);
/// Maximum delay until HTTP responses have the new time. Servers send whole seconds and read the clock once per second.
const MAX_CLOCK_DELAY: Duration = Duration::from_secs(3);

/// Maximum wait for a run to interrupt. With the usual load a worker is never idle for long.
const MAX_WAIT_FOR_RUN: Duration = Duration::from_secs(2);

/// Kills a worker in the middle of a run, if there is one soon. Returns the worker's id and the time before its death.
pub(super) async fn kill_worker(
    cluster: &mut Cluster,
    random: &mut Random,
) -> anyhow::Result<(String, DateTime<Utc>)> {
    let worker = cluster.workers.remove(random.below(cluster.workers.len()));
    let id = worker_id(&worker.log_text())?;
    let deadline = Instant::now() + MAX_WAIT_FOR_RUN;
    loop {
        let (now, is_busy) = sqlx::query_as(
            "SELECT clock_timestamp(), EXISTS (SELECT FROM script_executions WHERE worker_id = $1 AND status = 'running')",
        )
        .bind(&id)
        .fetch_one(&cluster.pool)
        .await?;
        if is_busy || Instant::now() > deadline {
            worker.kill();
            return Ok((id, now));
        }
    }
}

/// Reads the worker's id from its log.
fn worker_id(log: &str) -> anyhow::Result<String> {
    let line = log.lines().find_map(|line| {
        let line: serde_json::Value = serde_json::from_str(line).ok()?;
        Some(line["worker_id"].as_str()?.to_owned())
    });
    line.context("the worker's log names its id")
}

pub(super) async fn stop_worker(cluster: &mut Cluster, random: &mut Random) -> anyhow::Result<()> {
    let worker = cluster.workers.remove(random.below(cluster.workers.len()));
    ended_well(worker.drain().await?)
}

pub(super) async fn stop_api(cluster: &mut Cluster, random: &mut Random) -> anyhow::Result<()> {
    let api = cluster.apis.remove(random.below(cluster.apis.len()));
    cluster.publish_clients();
    ended_well(api.drain().await?)
}

fn ended_well(status: ExitStatus) -> anyhow::Result<()> {
    ensure!(status.success(), "a program that was asked to end ended with {status}");
    Ok(())
}

pub(super) async fn freeze_worker(
    cluster: &Cluster,
    random: &mut Random,
    outage: Duration,
) -> anyhow::Result<()> {
    let worker = &cluster.workers[random.below(cluster.workers.len())];
    worker.signal("STOP")?;
    sleep(FREEZE_TIME + outage).await;
    worker.signal("CONT")
}

/// Sets the clocks forward, which must have an effect, then back, where they stay.
pub(super) async fn jump_clocks(cluster: &Cluster, random: &mut Random) -> anyhow::Result<()> {
    let mut jump = || TimeDelta::hours(1 + i64::try_from(random.below(100 * 24)).unwrap_or_default());
    let (ahead, behind) = (jump(), jump());
    cluster.clock.shift(ahead)?;
    let ahead = Utc::now() + ahead;
    for program in cluster.apis.iter().chain(&cluster.workers) {
        assert_time(program, ahead).await?;
    }
    cluster.clock.shift(-behind)?;
    Ok(())
}

/// Waits until the program's responses have at least this time.
async fn assert_time(program: &Program, time: DateTime<Utc>) -> anyhow::Result<()> {
    let told = async {
        loop {
            let answer = http().get(format!("{}/metrics", program.url())).send().await?;
            let date = answer.headers()["date"].to_str()?;
            if DateTime::parse_from_rfc2822(date)? + MAX_CLOCK_DELAY >= time {
                return anyhow::Ok(());
            }
            sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(MAX_CLOCK_DELAY, told).await.context("a clock that does not jump")?
}
