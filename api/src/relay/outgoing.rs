//! The way from a marked outbox row to the broker, for the relay and for rows that need no turn.
//!
//! Invariant: a row comes here marked as published. The mark goes when the broker does not have the message; when this
//! process dies first, [`super::recovery`] takes it back.

use super::outbox;
use crate::database;
use chrono::{DateTime, Utc};
use shared::{
    message::ExecutionMessage,
    queue::{Broker, Publication, Publisher, Topology},
    telemetry::{
        metrics::OUTBOX_LAG,
        traces::{self, Step, TRACEPARENT},
    },
};
use sqlx::PgPool;
use std::{sync::Arc, time::Duration};
use tokio::sync::Notify;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

/// One listens, one marks, two take marks back.
const CONNECTIONS: u32 = 4;
/// Before rows that the broker did not take are tried again: it may refuse for longer than a moment.
const REFUSED_PAUSE: Duration = Duration::from_millis(250);

/// An outbox row that was marked and must now be published.
#[derive(Debug)]
pub struct Departure {
    pub(super) id: i64,
    pub(super) execution_id: Uuid,
    pub(super) traceparent: Option<String>,
    pub(super) available_at: DateTime<Utc>,
}

/// Publishes marked rows of one api process.
#[derive(Debug)]
pub struct Outgoing {
    pub(super) pool: PgPool,
    pub(super) broker: Broker,
    pub(super) publisher: Publisher,
    /// Executions of a workspace at a time, unless it has a number of its own; 0 is no limit.
    pub(super) workspace_limit: i64,
    wake: Arc<Notify>,
    /// Rows on their way that no batch of the relay waits for.
    under_way: TaskTracker,
}

impl Departure {
    /// A row that its writer marked itself: see [`crate::submit`].
    pub(crate) const fn new(
        id: i64,
        execution_id: Uuid,
        traceparent: Option<String>,
        available_at: DateTime<Utc>,
    ) -> Self {
        Self { id, execution_id, traceparent, available_at }
    }
}

impl Outgoing {
    /// Takes only the address from `pool`. Lets at most `workspace_limit` executions of a workspace run at a time,
    /// unless the workspace has a number of its own; 0 is no limit.
    #[must_use]
    pub fn new(pool: &PgPool, broker: Broker, topology: Topology, workspace_limit: u32) -> Arc<Self> {
        Arc::new(Self {
            pool: relay_pool(pool),
            publisher: Publisher::new(broker.clone(), topology),
            broker,
            workspace_limit: workspace_limit.into(),
            wake: Arc::default(),
            under_way: TaskTracker::new(),
        })
    }

    /// To be notified in this process after each commit that wrote outbox rows.
    #[must_use]
    pub const fn wake(&self) -> &Arc<Notify> {
        &self.wake
    }

    /// Whether a row may leave at once if nobody waits. Where a number of runs is to be kept, the relay counts them.
    #[must_use]
    pub fn is_express(&self) -> bool {
        self.workspace_limit == 0 && self.publisher.is_open()
    }

    /// Waits until there is a channel to publish on. None once the broker was closed.
    pub async fn ready(&self) -> Option<()> {
        self.publisher.ready().await
    }

    /// Publishes a row that its writer marked; for one that takes its turn, wakes the relay. Call it after the commit.
    pub fn leave(self: &Arc<Self>, departure: Option<Departure>) {
        let Some(departure) = departure else { return self.wake.notify_one() };
        let outgoing = Arc::clone(self);
        self.under_way.spawn(async move { outgoing.publish(vec![departure]).await });
    }

    /// Waits for the confirms of all that left.
    pub async fn flush(&self) {
        self.under_way.close();
        self.under_way.wait().await;
    }

    /// Publishes one batch and takes the mark from what the broker does not have.
    pub(super) async fn publish(&self, departures: Vec<Departure>) {
        let topology = self.publisher.topology();
        let steps: Vec<Step> = departures.iter().map(begin).collect();
        let messages = departures.iter().zip(&steps);
        let batch: Vec<Publication> =
            messages.map(|(departure, step)| message(departure, step, topology)).collect();
        let results = self.publisher.publish(&batch).await;
        let mut failed = Vec::new();
        for ((departure, mut step), result) in departures.iter().zip(steps).zip(results) {
            match result {
                Ok(()) => OUTBOX_LAG.with::<&str>([]).record(seconds_since(departure.available_at)),
                Err(error) => {
                    tracing::warn!(%error, execution.id = %departure.execution_id, "not published");
                    step.fail("not_published");
                    failed.push(departure.id);
                }
            }
        }
        if failed.is_empty() {
            return;
        }
        tokio::time::sleep(REFUSED_PAUSE).await;
        match outbox::take_back(&self.pool, &failed).await {
            Ok(()) => self.wake.notify_one(),
            // The recovery finds them by their age.
            Err(error) => {
                tracing::warn!(%error, rows = failed.len(), "can't take back the marks of unpublished rows");
            }
        }
    }
}

/// Connections of the relay's own, since it can do without waiting for the disk: a mark lost in a crash of the
/// database costs one message too many.
fn relay_pool(pool: &PgPool) -> PgPool {
    database::own_connections(pool, CONNECTIONS, &[("synchronous_commit", "off")])
}

/// By this host's clock, so at least 0.
fn seconds_since(moment: DateTime<Utc>) -> f64 {
    (Utc::now() - moment).to_std().unwrap_or_default().as_secs_f64()
}

fn begin(departure: &Departure) -> Step {
    let mut step = traces::publish(departure.traceparent.clone());
    step.of_execution(departure.execution_id);
    step
}

fn message(departure: &Departure, step: &Step, topology: &Topology) -> Publication {
    let message = ExecutionMessage { v: shared::message::VERSION, execution_id: departure.execution_id };
    Publication {
        exchange: topology.executions.clone(),
        routing_key: topology.executions.clone(),
        body: serde_json::to_vec(&message).expect("two plain fields are always JSON"),
        headers: step.traceparent().into_iter().map(|value| (TRACEPARENT, value)).collect(),
    }
}
