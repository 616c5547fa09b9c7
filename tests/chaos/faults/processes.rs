//! Programs that end, stand still, or have the wrong time.

use crate::{random::Random, site::Site};
use anyhow::{Context as _, ensure};
use chrono::{DateTime, TimeDelta, Utc};
use e2e::{client::http, program::Program};
use std::{
    process::ExitStatus,
    time::{Duration, Instant},
};
use tokio::time::sleep;

/// Longer than a lease (10 s) and the reaper's interval together.
const FROZEN: Duration = Duration::from_secs(13);
/// HTTP servers tell the time in whole seconds, and look at the clock once per second.
const TOLD_WITHIN: Duration = Duration::from_secs(3);

/// Most wait for a run to kill: with the usual load a worker is never idle for long.
const BUSY_WITHIN: Duration = Duration::from_secs(2);

/// In the middle of a run, if there is one soon. Returns the worker's id and the moment before its death.
pub(super) async fn kill_worker(
    site: &mut Site,
    random: &mut Random,
) -> anyhow::Result<(String, DateTime<Utc>)> {
    let worker = site.workers.remove(random.below(site.workers.len()));
    let id = worker_id(&worker.log_text())?;
    let deadline = Instant::now() + BUSY_WITHIN;
    loop {
        let (now, is_busy) = sqlx::query_as(
            "SELECT clock_timestamp(), EXISTS (SELECT FROM script_executions WHERE worker_id = $1 AND status = 'running')",
        )
        .bind(&id)
        .fetch_one(&site.pool)
        .await?;
        if is_busy || Instant::now() > deadline {
            worker.kill();
            return Ok((id, now));
        }
    }
}

/// As the worker's log says it.
fn worker_id(log: &str) -> anyhow::Result<String> {
    let line = log.lines().find_map(|line| {
        let line: serde_json::Value = serde_json::from_str(line).ok()?;
        Some(line["worker_id"].as_str()?.to_owned())
    });
    line.context("the worker's log names its id")
}

pub(super) async fn stop_worker(site: &mut Site, random: &mut Random) -> anyhow::Result<()> {
    let worker = site.workers.remove(random.below(site.workers.len()));
    ended_well(worker.drain().await?)
}

pub(super) async fn stop_api(site: &mut Site, random: &mut Random) -> anyhow::Result<()> {
    let api = site.apis.remove(random.below(site.apis.len()));
    site.announce();
    ended_well(api.drain().await?)
}

fn ended_well(status: ExitStatus) -> anyhow::Result<()> {
    ensure!(status.success(), "a program that was asked to end ended with {status}");
    Ok(())
}

pub(super) async fn freeze_worker(site: &Site, random: &mut Random, outage: Duration) -> anyhow::Result<()> {
    let worker = &site.workers[random.below(site.workers.len())];
    worker.signal("STOP")?;
    sleep(FROZEN + outage).await;
    worker.signal("CONT")
}

/// Ahead, which must be seen; then behind, and there it stays.
pub(super) async fn jump_clocks(site: &Site, random: &mut Random) -> anyhow::Result<()> {
    let mut jump = || TimeDelta::hours(1 + i64::try_from(random.below(100 * 24)).unwrap_or_default());
    let (ahead, behind) = (jump(), jump());
    site.clock.shift(ahead)?;
    let ahead = Utc::now() + ahead;
    for program in site.apis.iter().chain(&site.workers) {
        tells(program, ahead).await?;
    }
    site.clock.shift(-behind)?;
    Ok(())
}

/// Fails unless the program's answers carry at least this time.
async fn tells(program: &Program, time: DateTime<Utc>) -> anyhow::Result<()> {
    let told = async {
        loop {
            let answer = http().get(format!("{}/metrics", program.url())).send().await?;
            let date = answer.headers()["date"].to_str()?;
            if DateTime::parse_from_rfc2822(date)? + TOLD_WITHIN >= time {
                return anyhow::Ok(());
            }
            sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(TOLD_WITHIN, told).await.context("a clock that does not jump")?
}
