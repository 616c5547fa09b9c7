//! Gauges that no event updates: sampled from the database, the broker and the pools.
//!
//! Every api process samples the same database and broker; dashboards take the maximum.

use super::backlog::{Backlog, HeldBackProgress};
use crate::db::{self, retention::Lag};
use shared::{
    amqp::{Broker, Topology},
    telemetry::metrics::{
        CONNECTION_UP, DATABASE_CONNECTIONS, MAINTENANCE_AGE, OUTBOX_AGE, OUTBOX_HELD_BACK_AGE,
        OUTBOX_HELD_BACK_ROWS, OUTBOX_ROWS, PARTITIONS_AHEAD, QUEUE_DEPTH, WORKERS,
    },
};
use sqlx::PgPool;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// Seconds between two samples: several samples between two scrapes of Prometheus, at three cheap queries and three
/// requests to the broker each.
const INTERVAL: Duration = Duration::from_secs(5);

/// Samples the gauges.
#[derive(Debug)]
pub struct MetricsSampler {
    /// Queries run on the first pool; the connections of all are counted.
    pools: Vec<PgPool>,
    broker: Broker,
    topology: Topology,
    /// Limit of running executions of a workspace that has none of its own; 0 is no limit.
    workspace_limit: i64,
    progress: HeldBackProgress,
}

impl MetricsSampler {
    /// Samples with `workspace_limit`, the limit of workspaces that have none of their own (0 is no limit).
    #[must_use]
    pub fn new(pools: Vec<PgPool>, broker: Broker, topology: Topology, workspace_limit: u32) -> Self {
        let workspace_limit = i64::from(workspace_limit);
        Self { pools, broker, topology, workspace_limit, progress: HeldBackProgress::default() }
    }

    /// Samples until `stopping`. A gauge that can't be sampled keeps its last value; `runnerctl_connection_up` shows
    /// the reason.
    pub(crate) async fn run(mut self, stopping: CancellationToken) {
        let samples = async {
            loop {
                self.sample().await;
                tokio::time::sleep(INTERVAL).await;
            }
        };
        stopping.run_until_cancelled(samples).await;
    }

    /// Sets every gauge once.
    pub async fn sample(&mut self) {
        let Self { pools, broker, topology, workspace_limit, progress } = self;
        if let [pool, ..] = &pools[..] {
            tokio::join!(
                sample_database(pool, *workspace_limit, progress),
                sample_maintenance(pool),
                sample_broker(broker, topology)
            );
        }
        sample_pools(pools);
    }
}

async fn sample_database(pool: &PgPool, workspace_limit: i64, progress: &mut HeldBackProgress) {
    let sampled =
        tokio::try_join!(db::health::waiting_workspaces(pool, workspace_limit), db::health::workers(pool));
    CONNECTION_UP.with(["database", "pool"]).set(if sampled.is_ok() { 1.0 } else { 0.0 });
    match sampled {
        Ok((workspaces, workers)) => {
            let backlog = progress.measure(&workspaces, Instant::now());
            let Backlog { rows, oldest_s, held_back_rows, held_back_oldest_s } = backlog;
            OUTBOX_ROWS.with::<&str>([]).set(approximate(rows));
            OUTBOX_AGE.with::<&str>([]).set(oldest_s);
            OUTBOX_HELD_BACK_ROWS.with::<&str>([]).set(approximate(held_back_rows));
            OUTBOX_HELD_BACK_AGE.with::<&str>([]).set(held_back_oldest_s);
            WORKERS.with::<&str>([]).set(approximate(workers));
        }
        Err(error) => tracing::debug!(%error, "can't count the outbox backlog"),
    }
}

async fn sample_maintenance(pool: &PgPool) {
    match db::retention::lag(pool).await {
        Ok(Lag { age_s, ahead_s }) => {
            MAINTENANCE_AGE.with::<&str>([]).set(age_s);
            PARTITIONS_AHEAD.with::<&str>([]).set(ahead_s);
        }
        Err(error) => tracing::debug!(%error, "can't read the state of table maintenance"),
    }
}

async fn sample_broker(broker: &Broker, topology: &Topology) {
    let Topology { executions, events, dead, .. } = topology;
    for (label, queue) in [("executions", executions), ("events", events), ("dead", dead)] {
        if let Some(messages) = broker.ready_messages(queue).await {
            QUEUE_DEPTH.with([label]).set(f64::from(messages));
        }
    }
}

fn sample_pools(pools: &[PgPool]) {
    let idle: usize = pools.iter().map(PgPool::num_idle).sum();
    let size: u32 = pools.iter().map(PgPool::size).sum();
    let in_use = usize::try_from(size).unwrap_or(usize::MAX).saturating_sub(idle);
    for (state, connections) in [("idle", idle), ("in_use", in_use)] {
        DATABASE_CONNECTIONS.with([state]).set(approximate(i64::try_from(connections).unwrap_or(i64::MAX)));
    }
}

/// Converts a count for a gauge. It is not exact beyond four thousand million, which does not matter.
fn approximate(count: i64) -> f64 {
    f64::from(u32::try_from(count.max(0)).unwrap_or(u32::MAX))
}
