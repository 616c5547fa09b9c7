//! What goes wrong.

use super::{load::Load, random::Random, site::Site};
use anyhow::Context as _;
use shared::queue::Publication;
use sqlx::Executor as _;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// One thing that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// `kill -9`; another starts at once.
    WorkerKilled,
    /// SIGTERM; must end with exit code 0.
    WorkerStopped,
    ApiKilled,
    ApiStopped,
    BrokerRestarted,
    QueueDeleted,
    DatabaseRestarted,
    /// Every connection of the database ends, as in a fail-over.
    DatabaseConnectionsEnded,
    DatabaseCut,
    BrokerCut,
    /// Statements wait behind a lock.
    DatabaseSlow,
    /// Messages of executions that are under way or long over.
    Duplicates,
    /// Messages nobody can read.
    Poison,
}

const ALL: [Fault; 13] = [
    Fault::WorkerKilled,
    Fault::WorkerStopped,
    Fault::ApiKilled,
    Fault::ApiStopped,
    Fault::BrokerRestarted,
    Fault::QueueDeleted,
    Fault::DatabaseRestarted,
    Fault::DatabaseConnectionsEnded,
    Fault::DatabaseCut,
    Fault::BrokerCut,
    Fault::DatabaseSlow,
    Fault::Duplicates,
    Fault::Poison,
];

/// How many kinds there are.
pub(crate) const KINDS: usize = ALL.len();

/// What the checker has to know of what went wrong.
#[derive(Debug, Default)]
pub(crate) struct Record {
    /// Messages that must be among the dead letters.
    pub(crate) poison: usize,
    /// Ids of workers that were killed, and when by the database's clock.
    pub(crate) killed: Vec<(String, chrono::DateTime<chrono::Utc>)>,
}

/// Every kind in some order, again and again.
pub(crate) fn sequence(random: &mut Random, length: usize) -> Vec<Fault> {
    let mut faults = Vec::new();
    while faults.len() < length {
        let mut round = ALL;
        random.shuffle(&mut round);
        faults.extend(round);
    }
    faults.truncate(length);
    faults
}

/// Lets it happen, and ends it again.
pub(crate) async fn inflict(
    fault: Fault,
    site: &mut Site,
    load: &Load,
    random: &mut Random,
    record: &mut Record,
) -> anyhow::Result<()> {
    sleep(Duration::from_millis(300 + random.below(700) as u64)).await;
    let outage = Duration::from_millis(200 + random.below(2_000) as u64);
    match fault {
        Fault::WorkerKilled => {
            let worker = site.workers.remove(random.below(site.workers.len()));
            record.killed.push((worker_id(&worker.log_text())?, database_now(site).await?));
            worker.kill();
        }
        Fault::WorkerStopped => {
            let worker = site.workers.remove(random.below(site.workers.len()));
            ended_well(worker.drain().await?)?;
        }
        Fault::ApiKilled => site.apis.remove(random.below(site.apis.len())).kill(),
        Fault::ApiStopped => {
            let api = site.apis.remove(random.below(site.apis.len()));
            site.announce();
            ended_well(api.drain().await?)?;
        }
        Fault::BrokerRestarted => restart(site, "rabbitmq", outage).await,
        Fault::DatabaseRestarted => restart(site, "postgres", outage).await,
        Fault::QueueDeleted => delete_queue(site).await?,
        Fault::DatabaseConnectionsEnded => end_connections(site).await?,
        Fault::DatabaseCut => {
            site.database_link.cut();
            sleep(outage).await;
            site.database_link.mend();
        }
        Fault::BrokerCut => {
            site.broker_link.cut();
            sleep(outage).await;
            site.broker_link.mend();
        }
        Fault::DatabaseSlow => lock_executions(site, outage).await?,
        Fault::Duplicates => publish_duplicates(site, load, random).await?,
        Fault::Poison => record.poison += publish_poison(site).await?,
    }
    site.complete().await
}

fn ended_well(status: std::process::ExitStatus) -> anyhow::Result<()> {
    anyhow::ensure!(status.success(), "a program that was asked to end ended with {status}");
    Ok(())
}

/// As the worker's log says it.
fn worker_id(log: &str) -> anyhow::Result<String> {
    let line = log.lines().find_map(|line| {
        let line: serde_json::Value = serde_json::from_str(line).ok()?;
        Some(line["worker_id"].as_str()?.to_owned())
    });
    line.context("the worker's log names its id")
}

async fn database_now(site: &Site) -> anyhow::Result<chrono::DateTime<chrono::Utc>> {
    Ok(sqlx::query_scalar("SELECT clock_timestamp()").fetch_one(&site.pool).await?)
}

async fn restart(site: &Site, server: &'static str, outage: Duration) {
    // The scripts wait for processes: not on the runtime's own threads.
    tokio::task::block_in_place(|| site.services.stop_one(server));
    sleep(outage).await;
    tokio::task::block_in_place(|| site.services.start_one(server));
}

async fn delete_queue(site: &Site) -> anyhow::Result<()> {
    let channel =
        lapin::Connection::connect(site.services.amqp_url(), lapin::ConnectionProperties::default());
    let channel = channel.await?.create_channel().await?;
    let queue = site.topology.executions.as_str().into();
    channel
        .queue_delete(queue, lapin::options::QueueDeleteOptions::default())
        .await
        .context("delete the queue")?;
    Ok(())
}

async fn end_connections(site: &Site) -> anyhow::Result<()> {
    let others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                  WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name LIKE 'runnerctl%'";
    site.pool.execute(others).await?;
    Ok(())
}

async fn lock_executions(site: &Site, outage: Duration) -> anyhow::Result<()> {
    let mut transaction = site.pool.begin().await?;
    transaction.execute("LOCK TABLE outbox IN ACCESS EXCLUSIVE MODE").await?;
    sleep(outage).await;
    transaction.commit().await?;
    Ok(())
}

async fn publish_duplicates(site: &Site, load: &Load, random: &mut Random) -> anyhow::Result<()> {
    let mut ids = load.ids();
    random.shuffle(&mut ids);
    let bodies = ids.into_iter().take(20).map(|id| format!(r#"{{"v":1,"execution_id":"{id}"}}"#));
    publish(site, &site.topology.executions, bodies).await?;
    Ok(())
}

async fn publish_poison(site: &Site) -> anyhow::Result<usize> {
    let messages =
        ["", "not json", r#"{"v":1}"#, r#"{"v":2,"execution_id":"01900000-0000-7000-8000-000000000000"}"#];
    let events = ["[]", r#"{"v":1,"idempotency_key":""}"#, r#"{"v":9}"#];
    publish(site, &site.topology.executions, messages.into_iter().map(str::to_owned)).await?;
    publish(site, &site.topology.events, events.into_iter().map(str::to_owned)).await?;
    Ok(messages.len() + events.len())
}

/// Until the broker has them all.
async fn publish(site: &Site, exchange: &str, bodies: impl Iterator<Item = String>) -> anyhow::Result<()> {
    let deadline = Instant::now() + Duration::from_mins(1);
    for body in bodies {
        let publication = Publication {
            exchange: exchange.to_owned(),
            routing_key: exchange.to_owned(),
            body: body.into_bytes(),
            headers: Vec::new(),
        };
        loop {
            site.publisher.ready().await.context("the broker was closed")?;
            if matches!(site.publisher.publish(std::slice::from_ref(&publication)).await.pop(), Some(Ok(())))
            {
                break;
            }
            anyhow::ensure!(Instant::now() < deadline, "the broker takes no messages");
            sleep(Duration::from_millis(100)).await;
        }
    }
    Ok(())
}
