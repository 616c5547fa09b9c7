//! Publishes marked outbox rows, for the relay and for the fast path.
//!
//! Invariant: a row is committed and marked as published before it is published. The mark is removed if the broker
//! does not have the message. If this process dies before that, [`super::recovery`] removes the mark.

use super::{backlog::LastRead, fast_path::Gate};
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
use std::{sync::Arc, time::Duration};
use tokio::sync::Notify;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

/// Number of connections of one dispatcher: one for `claim_next_batch`, one for recovery, one for `unmark`.
const CONNECTIONS: u32 = 3;
/// Milliseconds until rows that the broker rejected are unmarked, since it may reject them again at once.
const REFUSED_PAUSE: Duration = Duration::from_millis(250);

/// Publisher of the marked rows of one api process.
#[derive(Debug)]
pub struct Dispatcher {
    pub(super) pool: PgPool,
    pub(super) broker: Broker,
    pub(super) publisher: Publisher,
    /// Limits the concurrent executions of a workspace without a limit of its own; 0 is no limit.
    pub(super) workspace_limit: i64,
    /// Rows that were waiting when the relay last read the outbox.
    pub(super) backlog: LastRead,
    pub(super) fast_path: Gate,
    wake: Arc<Notify>,
    /// Tasks that the relay does not wait for: publishes of the fast path, and detached submissions.
    pub(super) in_flight: TaskTracker,
}

impl Dispatcher {
    /// Creates a dispatcher with connections of its own, to the database of `pool`. `workspace_limit` limits the
    /// concurrent executions of a workspace without a limit of its own; 0 is no limit.
    #[must_use]
    pub fn new(pool: &PgPool, broker: Broker, topology: Topology, workspace_limit: u32) -> Arc<Self> {
        Arc::new(Self {
            pool: relay_pool(pool),
            publisher: Publisher::new(broker.clone(), topology),
            broker,
            workspace_limit: workspace_limit.into(),
            backlog: LastRead::default(),
            fast_path: Gate::default(),
            wake: Arc::default(),
            in_flight: TaskTracker::new(),
        })
    }

    /// Returns the signal that wakes the relay. Notify it after each commit that wrote outbox rows, of this process or
    /// another.
    #[must_use]
    pub const fn wake(&self) -> &Arc<Notify> {
        &self.wake
    }

    /// Wakes the relay if it may publish rows that wait. Call it after each change of an execution, since a claim frees
    /// a place in the broker's window.
    pub fn note_change(&self) {
        if self.backlog.count_change() {
            self.wake.notify_one();
        }
    }

    /// Wakes the relay for a row that this process has written, unless the broker's window is full.
    pub(super) fn note_write(&self) {
        if self.backlog.admits_new_rows() {
            self.wake.notify_one();
        }
    }

    /// Runs `work` to its end even if the caller is dropped. Without it, a client that disconnects between the commit
    /// and the publish would leave a marked row without a message.
    ///
    /// # Panics
    /// If `work` panics.
    pub async fn run_detached<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> T {
        match self.in_flight.spawn(work).await {
            Ok(done) => done,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The task was cancelled, so the runtime shuts down and also ends the caller.
                Err(_) => std::future::pending().await,
            },
        }
    }

    /// Waits until there is a channel to publish on. Returns `None` after the broker was closed.
    pub async fn ready(&self) -> Option<()> {
        self.publisher.ready().await
    }

    /// Publishes a row that its writer marked, in a task. Call it after the commit.
    pub(super) fn dispatch(self: &Arc<Self>, entry: OutboxEntry) {
        let dispatcher = Arc::clone(self);
        self.in_flight.spawn(async move { dispatcher.publish(vec![entry]).await });
    }

    /// Waits for the confirms of all dispatched rows. Rejects further ones.
    pub async fn drain(&self) {
        self.in_flight.close();
        self.in_flight.wait().await;
    }

    /// Publishes a batch, and unmarks the rows whose message the broker does not have.
    pub(super) async fn publish(&self, entries: Vec<OutboxEntry>) {
        let spans: Vec<Span> = entries.iter().map(start_span).collect();
        let topology = self.publisher.topology();
        let batch: Vec<Publication> = entries
            .iter()
            .zip(&spans)
            .map(|(entry, span)| message(entry.execution_id, span, topology))
            .collect();
        let results = self.publisher.publish(&batch).await;
        let mut failed = Vec::new();
        for ((entry, mut span), result) in entries.iter().zip(spans).zip(results) {
            match result {
                Ok(()) => record_lag(entry),
                Err(error) => {
                    tracing::warn!(%error, execution.id = %entry.execution_id, "not published: the relay publishes it again");
                    span.fail("not_published");
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
            // Recovery finds them by their age.
            Err(error) => {
                tracing::warn!(%error, rows = failed.len(), "can't unmark rows that were not published; recovery does");
            }
        }
    }
}

/// Creates the dispatcher's pool. Its commits do not wait for the disk: a mark that is lost in a crash of the database
/// costs one duplicate message.
fn relay_pool(pool: &PgPool) -> PgPool {
    let options = pool.connect_options().as_ref().clone().options([("synchronous_commit", "off")]);
    let options = options.application_name("runnerctl-api relay");
    PgPoolOptions::new()
        .max_connections(CONNECTIONS)
        .idle_timeout(None)
        .test_before_acquire(false)
        .connect_lazy_with(options)
}

/// Records the time since the row was due. It is measured by this host's clock, so a negative time counts as 0.
fn record_lag(entry: &OutboxEntry) {
    let lag = (Utc::now() - entry.available_at).to_std().unwrap_or_default();
    OUTBOX_LAG.with::<&str>([]).record(lag.as_secs_f64());
}

/// Starts the span of a publish.
fn start_span(entry: &OutboxEntry) -> Span {
    let mut span = traces::publish(entry.traceparent.clone());
    span.set_execution_id(entry.execution_id);
    span
}

fn message(execution_id: Uuid, span: &Span, topology: &Topology) -> Publication {
    let message = ExecutionMessage { v: shared::message::VERSION, execution_id };
    Publication {
        exchange: topology.executions.clone(),
        routing_key: topology.executions.clone(),
        body: serde_json::to_vec(&message).expect("a number and an id are always JSON"),
        headers: span.traceparent().into_iter().map(|value| (TRACEPARENT, value)).collect(),
    }
}
