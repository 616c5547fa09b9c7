//! Gauges that nobody's event tells: sampled from the database, the broker and the pool.
//!
//! Every api process samples the same database and broker; dashboards take the greatest.

use crate::db::{self, health::Backlog, retention::Lag};
use shared::{
    amqp::{Broker, Topology},
    telemetry::metrics::{
        CONNECTION_UP, DATABASE_CONNECTIONS, MAINTENANCE_AGE, OUTBOX_AGE, OUTBOX_ROWS, PARTITIONS_AHEAD,
        QUEUE_DEPTH, WORKERS,
    },
};
use sqlx::PgPool;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Several samples between two scrapes of Prometheus, at two cheap queries and three questions to the broker each.
const INTERVAL: Duration = Duration::from_secs(5);

/// Samples until told to stop. What can't be asked keeps its last value; `runnerctl_connection_up` tells why.
pub async fn run(pools: [PgPool; 2], broker: Broker, topology: Topology, stopping: CancellationToken) {
    let samples = async {
        loop {
            sample(&pools, &broker, &topology).await;
            tokio::time::sleep(INTERVAL).await;
        }
    };
    stopping.run_until_cancelled(samples).await;
}

/// Sets every gauge once. The first of `pools` is asked; the connections of all are counted.
pub async fn sample(pools: &[PgPool], broker: &Broker, topology: &Topology) {
    if let [pool, ..] = pools {
        tokio::join!(of_database(pool), of_maintenance(pool), of_broker(broker, topology));
    }
    of_pools(pools);
}

async fn of_database(pool: &PgPool) {
    let backlog = db::health::backlog(pool).await;
    CONNECTION_UP.with(["database", "pool"]).set(if backlog.is_ok() { 1.0 } else { 0.0 });
    match backlog {
        Ok(Backlog { rows, oldest_s, workers }) => {
            OUTBOX_ROWS.with::<&str>([]).set(approximate(rows));
            OUTBOX_AGE.with::<&str>([]).set(oldest_s);
            WORKERS.with::<&str>([]).set(approximate(workers));
        }
        Err(error) => tracing::debug!(%error, "the backlog can't be counted"),
    }
}

async fn of_maintenance(pool: &PgPool) {
    match db::retention::lag(pool).await {
        Ok(Lag { age_s, ahead_s }) => {
            MAINTENANCE_AGE.with::<&str>([]).set(age_s);
            PARTITIONS_AHEAD.with::<&str>([]).set(ahead_s);
        }
        Err(error) => tracing::debug!(%error, "the state of table maintenance can't be read"),
    }
}

async fn of_broker(broker: &Broker, topology: &Topology) {
    let Topology { executions, events, dead, .. } = topology;
    for (label, queue) in [("executions", executions), ("events", events), ("dead", dead)] {
        if let Some(messages) = broker.ready_messages(queue).await {
            QUEUE_DEPTH.with([label]).set(f64::from(messages));
        }
    }
}

fn of_pools(pools: &[PgPool]) {
    let idle: usize = pools.iter().map(PgPool::num_idle).sum();
    let size: u32 = pools.iter().map(PgPool::size).sum();
    let in_use = usize::try_from(size).unwrap_or(usize::MAX).saturating_sub(idle);
    for (state, connections) in [("idle", idle), ("in_use", in_use)] {
        DATABASE_CONNECTIONS.with([state]).set(approximate(i64::try_from(connections).unwrap_or(i64::MAX)));
    }
}

/// A count as a gauge takes it; beyond four thousand million it is not exact, and does not matter.
fn approximate(count: i64) -> f64 {
    f64::from(u32::try_from(count.max(0)).unwrap_or(u32::MAX))
}
