//! Publishes marked outbox rows, for the relay and for the fast path.
//!
//! Invariant: a row comes here committed and marked as published. The mark is removed when the broker does not have the
//! message; if this process does not get to it, [`super::recovery`] removes it.

use super::fast_path::Gate;
use crate::db::outbox::{self, OutboxEntry};
use chrono::Utc;
use shared::{
    amqp::{Broker, Publication, Publisher, Topology},
    message::ExecutionMessage,
    telemetry::{
        metrics::OUTBOX_LAG,
        traces::{self, Span, TRACEPARENT},
    },
};
use sqlx::{PgPool, postgres::PgPoolOptions};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::sync::Notify;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

/// Connections of one dispatcher: one for `claim_next_batch`, one for `idle` and recovery, one for `unmark`.
const CONNECTIONS: u32 = 3;
/// Pause before rows that the broker refused are unmarked: it may refuse for longer than a moment.
const REFUSED_PAUSE: Duration = Duration::from_millis(250);

/// Publishes marked rows of one api process.
#[derive(Debug)]
pub struct Dispatcher {
    pub(super) pool: PgPool,
    pub(super) broker: Broker,
    pub(super) publisher: Publisher,
    /// Executions of a workspace that may run at a time, unless it has a limit of its own; 0 is no limit.
    pub(super) workspace_limit: i64,
    /// Rows wait for room in the broker or for their turn, as far as the relay saw last.
    pub(super) has_backlog: AtomicBool,
    pub(super) fast_path: Gate,
    wake: Arc<Notify>,
    /// Work that no batch of the relay waits for: entries of the fast path, and detached submissions.
    pub(super) in_flight: TaskTracker,
}

impl Dispatcher {
    /// Takes only the address from `pool`. Lets at most `workspace_limit` executions of a workspace run at a time,
    /// unless the workspace has a limit of its own; 0 is no limit.
    #[must_use]
    pub fn new(pool: &PgPool, broker: Broker, topology: Topology, workspace_limit: u32) -> Arc<Self> {
        Arc::new(Self {
            pool: relay_pool(pool),
            publisher: Publisher::new(broker.clone(), topology),
            broker,
            workspace_limit: workspace_limit.into(),
            has_backlog: AtomicBool::new(false),
            fast_path: Gate::default(),
            wake: Arc::default(),
            in_flight: TaskTracker::new(),
        })
    }

    /// To be notified after each commit that wrote outbox rows, of this process or another.
    #[must_use]
    pub const fn wake(&self) -> &Arc<Notify> {
        &self.wake
    }

    /// To be called after each change of an execution: a claim made room for the rows that wait.
    pub fn note_change(&self) {
        if self.has_backlog.load(Ordering::Relaxed) {
            self.wake.notify_one();
        }
    }

    /// Runs `work` to its end even if the caller is dropped: a client that hangs up between the commit and the publish
    /// would leave a marked row without a message.
    ///
    /// # Panics
    /// If `work` does.
    pub async fn run_detached<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> T {
        match self.in_flight.spawn(work).await {
            Ok(done) => done,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The runtime shuts down, and the caller with it.
                Err(_) => std::future::pending().await,
            },
        }
    }

    /// Waits until there is a channel to publish on. None once the broker was closed.
    pub async fn ready(&self) -> Option<()> {
        self.publisher.ready().await
    }

    /// Publishes a row that its writer marked. Call it after the commit.
    pub(super) fn dispatch(self: &Arc<Self>, entry: OutboxEntry) {
        let dispatcher = Arc::clone(self);
        self.in_flight.spawn(async move { dispatcher.publish(vec![entry]).await });
    }

    /// Waits for the confirms of all that was dispatched.
    pub async fn drain(&self) {
        self.in_flight.close();
        self.in_flight.wait().await;
    }

    /// Publishes one batch and unmarks the rows whose message the broker does not have.
    pub(super) async fn publish(&self, entries: Vec<OutboxEntry>) {
        let steps: Vec<Span> = entries.iter().map(begin).collect();
        let topology = self.publisher.topology();
        let batch: Vec<Publication> = entries
            .iter()
            .zip(&steps)
            .map(|(entry, step)| message(entry.execution_id, step, topology))
            .collect();
        let results = self.publisher.publish(&batch).await;
        let mut failed = Vec::new();
        for ((entry, mut step), result) in entries.iter().zip(steps).zip(results) {
            match result {
                Ok(()) => record_lag(entry),
                Err(error) => {
                    tracing::warn!(%error, execution.id = %entry.execution_id, "not published");
                    step.fail("not_published");
                    failed.push(entry.id);
                }
            }
        }
        if failed.is_empty() {
            return;
        }
        tokio::time::sleep(REFUSED_PAUSE).await;
        match outbox::unmark(&self.pool, &failed).await {
            Ok(()) => self.wake.notify_one(),
            // The recovery finds them by their age.
            Err(error) => {
                tracing::warn!(%error, rows = failed.len(), "can't unmark rows that were not published");
            }
        }
    }
}

/// Connections of the relay's own, whose commits do not wait for the disk: a mark that is lost in a crash of the
/// database costs one duplicate message.
fn relay_pool(pool: &PgPool) -> PgPool {
    let options = pool.connect_options().as_ref().clone().options([("synchronous_commit", "off")]);
    PgPoolOptions::new()
        .max_connections(CONNECTIONS)
        .idle_timeout(None)
        .test_before_acquire(false)
        .connect_lazy_with(options)
}

/// Records the time since the row was due, by this host's clock, so at least 0.
fn record_lag(entry: &OutboxEntry) {
    let lag = (Utc::now() - entry.available_at).to_std().unwrap_or_default();
    OUTBOX_LAG.with::<&str>([]).record(lag.as_secs_f64());
}

fn begin(entry: &OutboxEntry) -> Span {
    let mut step = traces::publish(entry.traceparent.clone());
    step.set_execution_id(entry.execution_id);
    step
}

fn message(execution_id: Uuid, step: &Span, topology: &Topology) -> Publication {
    let message = ExecutionMessage { v: shared::message::VERSION, execution_id };
    Publication {
        exchange: topology.executions.clone(),
        routing_key: topology.executions.clone(),
        body: serde_json::to_vec(&message).expect("two plain fields are always JSON"),
        headers: step.traceparent().into_iter().map(|value| (TRACEPARENT, value)).collect(),
    }
}
