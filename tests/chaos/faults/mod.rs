//! Faults that the chaos suite injects.

mod broker;
mod database;
mod processes;

use super::{cluster::Cluster, load::Load, random::Random};
pub(crate) use database::FULL;
use std::time::Duration;
use test_support::{Direction, Link};
use tokio::time::sleep;

/// Kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A worker gets SIGKILL, and another starts immediately.
    WorkerKilled,
    /// SIGKILL for all workers at once, as in a power failure.
    WorkersKilled,
    /// A worker gets SIGTERM and must end with exit code 0.
    WorkerStopped,
    /// A worker is stopped for longer than its leases, then continues.
    WorkerFrozen,
    ApiKilled,
    ApiStopped,
    /// The programs' clocks jump months ahead, then back behind the true time. The database's clock does not.
    ClocksJumped,
    BrokerRestarted,
    /// A queue is deleted, which cancels its consumers.
    QueueDeleted,
    BrokerCut,
    /// The connection is cut during a publish: the broker has the message, and the confirm is lost.
    ConfirmsLost,
    /// The connection is cut during an acknowledgement, which the broker never receives.
    AcknowledgementsLost,
    /// No message is acknowledged until the broker closes the channels.
    ConsumerTimeout,
    DatabaseRestarted,
    /// The database closes all connections, as in a failover.
    DatabaseConnectionsEnded,
    DatabaseCut,
    /// Commits succeed, but their responses are lost.
    DatabaseAnswersLost,
    /// Statements wait behind a lock.
    DatabaseSlow,
    /// Writes fail because the disk is full.
    DatabaseFull,
    /// Messages are published again for running and ended executions.
    Duplicates,
    /// Invalid messages are published.
    Poison,
}

const ALL: [Fault; 21] = [
    Fault::WorkerKilled,
    Fault::WorkersKilled,
    Fault::WorkerStopped,
    Fault::WorkerFrozen,
    Fault::ApiKilled,
    Fault::ApiStopped,
    Fault::ClocksJumped,
    Fault::BrokerRestarted,
    Fault::QueueDeleted,
    Fault::BrokerCut,
    Fault::ConfirmsLost,
    Fault::AcknowledgementsLost,
    Fault::ConsumerTimeout,
    Fault::DatabaseRestarted,
    Fault::DatabaseConnectionsEnded,
    Fault::DatabaseCut,
    Fault::DatabaseAnswersLost,
    Fault::DatabaseSlow,
    Fault::DatabaseFull,
    Fault::Duplicates,
    Fault::Poison,
];

/// Number of kinds.
pub(crate) const KINDS: usize = ALL.len();

/// Minimum age of a queue before the broker is killed. RabbitMQ 3.10 stores the location of a new quorum queue's log up
/// to 3 s after its declaration (its table of names uses Erlang's delayed writes). If it is killed before, the queue
/// comes back without a log and never gets a leader: the broker has lost messages that it confirmed.
/// docs/runbooks/outbox-stuck.md has the remedy.
const MIN_QUEUE_AGE: Duration = Duration::from_secs(4);

/// Record of the injected faults, for the checker.
#[derive(Debug, Default)]
pub(crate) struct Record {
    /// Number of messages that must be among the dead letters.
    pub(crate) poison: usize,
    /// Ids of killed workers, with the time by the database's clock.
    pub(crate) killed: Vec<(String, chrono::DateTime<chrono::Utc>)>,
}

/// Makes a sequence that repeats all kinds in random order.
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

/// Injects a fault and ends it again.
pub(crate) async fn inject(
    fault: Fault,
    cluster: &mut Cluster,
    load: &Load,
    random: &mut Random,
    record: &mut Record,
) -> anyhow::Result<()> {
    sleep(Duration::from_millis(300 + random.below(700) as u64)).await;
    let outage = Duration::from_millis(200 + random.below(2_000) as u64);
    match fault {
        Fault::WorkerKilled => record.killed.push(processes::kill_worker(cluster, random).await?),
        Fault::WorkersKilled => {
            while !cluster.workers.is_empty() {
                record.killed.push(processes::kill_worker(cluster, random).await?);
            }
        }
        Fault::WorkerStopped => processes::stop_worker(cluster, random).await?,
        Fault::WorkerFrozen => processes::freeze_worker(cluster, random, outage).await?,
        Fault::ApiKilled => cluster.apis.remove(random.below(cluster.apis.len())).kill(),
        Fault::ApiStopped => processes::stop_api(cluster, random).await?,
        Fault::ClocksJumped => processes::jump_clocks(cluster, random).await?,
        Fault::BrokerRestarted => {
            sleep(MIN_QUEUE_AGE).await;
            restart(cluster, "rabbitmq", outage).await;
        }
        Fault::QueueDeleted => broker::delete_queue(cluster).await?,
        Fault::BrokerCut => cut(&cluster.broker_link, outage).await,
        Fault::ConfirmsLost => lose(&cluster.broker_link, Direction::ToProgram, outage).await,
        Fault::AcknowledgementsLost => lose(&cluster.broker_link, Direction::ToServer, outage).await,
        Fault::ConsumerTimeout => broker::time_consumers_out(cluster).await?,
        Fault::DatabaseRestarted => restart(cluster, "postgres", outage).await,
        Fault::DatabaseConnectionsEnded => database::end_connections(cluster).await?,
        Fault::DatabaseCut => cut(&cluster.database_link, outage).await,
        Fault::DatabaseAnswersLost => lose(&cluster.database_link, Direction::ToProgram, outage).await,
        Fault::DatabaseSlow => database::lock_outbox(cluster, outage).await?,
        Fault::DatabaseFull => database::fill(cluster, outage).await?,
        Fault::Duplicates => broker::publish_duplicates(cluster, load, random).await?,
        Fault::Poison => record.poison += broker::publish_poison(cluster).await?,
    }
    cluster.complete().await
}

#[expect(clippy::disallowed_methods, reason = "this runtime starts no sandbox processes")]
async fn restart(cluster: &Cluster, server: &'static str, outage: Duration) {
    // The scripts block while they wait for processes.
    tokio::task::block_in_place(|| cluster.services.stop_one(server));
    sleep(outage).await;
    tokio::task::block_in_place(|| cluster.services.start_one(server));
}

async fn cut(link: &Link, outage: Duration) {
    link.cut();
    sleep(outage).await;
    link.mend();
}

async fn lose(link: &Link, direction: Direction, outage: Duration) {
    link.lose(direction);
    sleep(outage).await;
    link.cut();
    link.mend();
}
