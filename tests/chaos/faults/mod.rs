//! What goes wrong.

mod broker;
mod database;
mod processes;

use super::{load::Load, random::Random, site::Site};
pub(crate) use database::FULL;
use std::time::Duration;
use test_support::{Direction, Link};
use tokio::time::sleep;

/// One thing that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// `kill -9`; another starts at once.
    WorkerKilled,
    /// All of them at once, as in a power cut.
    WorkersKilled,
    /// SIGTERM; must end with exit code 0.
    WorkerStopped,
    /// For longer than its leases; then it goes on as if nothing had happened.
    WorkerFrozen,
    ApiKilled,
    ApiStopped,
    /// The programs' clocks leap months ahead, and back behind the true time. The database's own does not.
    ClocksJumped,
    BrokerRestarted,
    /// Which cancels its consumers.
    QueueDeleted,
    BrokerCut,
    /// The broker has what was published, and nobody hears of it: cut mid-publish.
    ConfirmsLost,
    /// The broker never hears that work was done: cut mid-ack.
    AcknowledgementsLost,
    /// Nothing is acknowledged for so long that the broker closes the channels.
    ConsumerTimeout,
    DatabaseRestarted,
    /// Every connection of the database ends, as in a fail-over.
    DatabaseConnectionsEnded,
    DatabaseCut,
    /// Commits take place, and nobody hears of them.
    DatabaseAnswersLost,
    /// Statements wait behind a lock.
    DatabaseSlow,
    /// Every write is refused for want of space.
    DatabaseFull,
    /// Messages of executions that are under way or long over.
    Duplicates,
    /// Messages nobody can read.
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

/// How many kinds there are.
pub(crate) const KINDS: usize = ALL.len();

/// RabbitMQ 3.10 writes down where a new quorum queue has its log up to 3 s after it was declared (its table of names
/// has Erlang's delayed writes). Killed before, it comes back with a queue that has no log, and no leader for good: it
/// has itself lost what it confirmed, and docs/runbooks/outbox-stuck.md says how to end that. So it is killed later.
const WRITTEN_DOWN: Duration = Duration::from_secs(4);

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
        Fault::WorkerKilled => record.killed.push(processes::kill_worker(site, random).await?),
        Fault::WorkersKilled => {
            while !site.workers.is_empty() {
                record.killed.push(processes::kill_worker(site, random).await?);
            }
        }
        Fault::WorkerStopped => processes::stop_worker(site, random).await?,
        Fault::WorkerFrozen => processes::freeze_worker(site, random, outage).await?,
        Fault::ApiKilled => site.apis.remove(random.below(site.apis.len())).kill(),
        Fault::ApiStopped => processes::stop_api(site, random).await?,
        Fault::ClocksJumped => processes::jump_clocks(site, random).await?,
        Fault::BrokerRestarted => {
            sleep(WRITTEN_DOWN).await;
            restart(site, "rabbitmq", outage).await;
        }
        Fault::QueueDeleted => broker::delete_queue(site).await?,
        Fault::BrokerCut => cut(&site.broker_link, outage).await,
        Fault::ConfirmsLost => lose(&site.broker_link, Direction::ToProgram, outage).await,
        Fault::AcknowledgementsLost => lose(&site.broker_link, Direction::ToServer, outage).await,
        Fault::ConsumerTimeout => broker::time_consumers_out(site).await?,
        Fault::DatabaseRestarted => restart(site, "postgres", outage).await,
        Fault::DatabaseConnectionsEnded => database::end_connections(site).await?,
        Fault::DatabaseCut => cut(&site.database_link, outage).await,
        Fault::DatabaseAnswersLost => lose(&site.database_link, Direction::ToProgram, outage).await,
        Fault::DatabaseSlow => database::lock_outbox(site, outage).await?,
        Fault::DatabaseFull => database::fill(site, outage).await?,
        Fault::Duplicates => broker::publish_duplicates(site, load, random).await?,
        Fault::Poison => record.poison += broker::publish_poison(site).await?,
    }
    site.complete().await
}

async fn restart(site: &Site, server: &'static str, outage: Duration) {
    // The scripts wait for processes: not on the runtime's own threads.
    tokio::task::block_in_place(|| site.services.stop_one(server));
    sleep(outage).await;
    tokio::task::block_in_place(|| site.services.start_one(server));
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
