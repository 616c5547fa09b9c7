//! The way from a marked outbox row to the broker, for the relay and for rows that need no turn.
//!
//! Invariant: a row comes here marked as published. The mark goes when the broker does not have the message; should this
//! process not get to it, [`super::recovery`] takes it back.

use super::fast_path::{Ahead, Ticket, Unhindered};
use crate::db::outbox::{self, Departure};
use chrono::Utc;
use shared::{
    amqp::{Broker, Publication, Publisher, Topology},
    message::ExecutionMessage,
    telemetry::{
        metrics::OUTBOX_LAG,
        traces::{self, Step, TRACEPARENT},
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
use tokio::sync::{Notify, Semaphore};
use tokio_util::task::TaskTracker;
use uuid::Uuid;

/// One marks, two look what waits or was lost and take marks back.
const CONNECTIONS: u32 = 3;
/// Statements of one process that may mark their rows at the same moment: none sees what another is about to mark.
const TICKETS: usize = 2;
/// Before rows that the broker did not take are tried again: it may refuse for longer than a moment.
const REFUSED_PAUSE: Duration = Duration::from_millis(250);

/// Publishes marked rows of one api process.
#[derive(Debug)]
pub struct Outgoing {
    pub(super) pool: PgPool,
    pub(super) broker: Broker,
    pub(super) publisher: Publisher,
    /// Executions of a workspace at a time, unless it has a number of its own; 0 is no limit.
    pub(super) workspace_limit: i64,
    /// Rows wait for room or for their turn, as far as the relay saw last.
    pub(super) is_queueing: AtomicBool,
    pub(super) unhindered: Unhindered,
    tickets: Arc<Semaphore>,
    wake: Arc<Notify>,
    /// Rows and messages on their way that no batch of the relay waits for.
    pub(super) under_way: TaskTracker,
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
            is_queueing: AtomicBool::new(false),
            unhindered: Unhindered::default(),
            tickets: Arc::new(Semaphore::new(TICKETS)),
            wake: Arc::default(),
            under_way: TaskTracker::new(),
        })
    }

    /// To be notified after each commit that wrote outbox rows, of this process or another.
    #[must_use]
    pub const fn wake(&self) -> &Arc<Notify> {
        &self.wake
    }

    /// To be called after each change of an execution: if it was a claim, it made room for what waits.
    pub fn note_change(&self) {
        if self.is_queueing.load(Ordering::Relaxed) {
            self.wake.notify_one();
        }
    }

    /// A row that is written while the ticket is held may leave at once if nobody waits. To be held until the commit.
    /// None where a number of runs is to be kept, which the relay counts, or while the broker is away.
    #[must_use]
    pub fn ticket(self: &Arc<Self>) -> Option<Ticket> {
        let is_open = self.workspace_limit == 0
            && !self.is_queueing.load(Ordering::Relaxed)
            && !self.under_way.is_closed()
            && self.publisher.is_open();
        let permit = is_open.then(|| Arc::clone(&self.tickets).try_acquire_owned().ok()).flatten()?;
        Some(Ticket::new(Arc::clone(self), permit))
    }

    /// Sees work through that must not end half-way when nobody waits for it any more: a client that hangs up between
    /// the commit and the departure would leave a marked row behind.
    ///
    /// # Panics
    /// If `work` does.
    pub async fn see_through<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> T {
        match self.under_way.spawn(work).await {
            Ok(done) => done,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The runtime ends, and who waits here with it.
                Err(_) => std::future::pending().await,
            },
        }
    }

    /// Waits until there is a channel to publish on. None once the broker was closed.
    pub async fn ready(&self) -> Option<()> {
        self.publisher.ready().await
    }

    /// Publishes a row that its writer marked, unless its message went ahead in time; for one that takes its turn, wakes
    /// the relay. Call it after the commit.
    pub(crate) fn leave(self: &Arc<Self>, departure: Option<Departure>, ticket: Option<Ticket>) {
        let Some(departure) = departure else { return self.wake.notify_one() };
        let ahead = ticket.and_then(Ticket::into_ahead).filter(Ahead::is_in_time);
        let outgoing = Arc::clone(self);
        self.under_way.spawn(async move {
            let is_there = if let Some(ahead) = ahead { ahead.confirmed().await } else { false };
            if is_there {
                record_lag(&departure);
            } else {
                outgoing.publish(vec![departure]).await;
            }
        });
    }

    /// Waits for the confirms of all that left.
    pub async fn flush(&self) {
        self.under_way.close();
        self.under_way.wait().await;
    }

    /// Publishes one batch and takes the mark from what the broker does not have.
    pub(super) async fn publish(&self, departures: Vec<Departure>) {
        let topology = self.publisher.topology();
        let begin_one = |departure: &Departure| begin(departure.execution_id, departure.traceparent.clone());
        let steps: Vec<Step> = departures.iter().map(begin_one).collect();
        let messages = departures.iter().zip(&steps);
        let batch: Vec<Publication> =
            messages.map(|(departure, step)| message(departure.execution_id, step, topology)).collect();
        let results = self.publisher.publish(&batch).await;
        let mut failed = Vec::new();
        for ((departure, mut step), result) in departures.iter().zip(steps).zip(results) {
            match result {
                Ok(()) => record_lag(departure),
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
    let options = pool.connect_options().as_ref().clone().options([("synchronous_commit", "off")]);
    PgPoolOptions::new()
        .max_connections(CONNECTIONS)
        .idle_timeout(None)
        .test_before_acquire(false)
        .connect_lazy_with(options)
}

/// By this host's clock, so at least 0.
fn record_lag(departure: &Departure) {
    let lag = (Utc::now() - departure.available_at).to_std().unwrap_or_default();
    OUTBOX_LAG.with::<&str>([]).record(lag.as_secs_f64());
}

pub(super) fn begin(execution_id: Uuid, traceparent: Option<String>) -> Step {
    let mut step = traces::publish(traceparent);
    step.of_execution(execution_id);
    step
}

pub(super) fn message(execution_id: Uuid, step: &Step, topology: &Topology) -> Publication {
    let message = ExecutionMessage { v: shared::message::VERSION, execution_id };
    Publication {
        exchange: topology.executions.clone(),
        routing_key: topology.executions.clone(),
        body: serde_json::to_vec(&message).expect("two plain fields are always JSON"),
        headers: step.traceparent().into_iter().map(|value| (TRACEPARENT, value)).collect(),
    }
}
