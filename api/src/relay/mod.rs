//! Brings outbox rows to the broker.
//!
//! Invariant: an outbox row goes away only when its execution was claimed. The relay marks it published, publishes,
//! and takes the mark back unless the broker confirmed; a mark whose message was lost all the same (a process killed
//! in between, a queue deleted) is taken back by [`recovery`]. A message too many is harmless: the claim decides.
//!
//! Order is decided in the database, per message and as late as possible: the broker never holds more than a
//! shallow window, so a workspace with a long backlog can't stand before another's only run.

mod outbox;
mod recovery;

use crate::relay::outbox::{Departure, Waiting};
use chrono::{DateTime, Utc};
use shared::{
    backoff::Backoff,
    message::ExecutionMessage,
    queue::{Broker, Publication, Publisher, Topology},
    telemetry::{
        metrics::OUTBOX_LAG,
        traces::{self, Step, TRACEPARENT},
    },
};
use sqlx::{
    PgPool,
    postgres::{PgListener, PgPoolOptions},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{sync::Notify, task::JoinSet};
use tokio_util::sync::CancellationToken;

/// Channel on which others tell that they have written outbox rows.
const OUTBOX_CHANNEL: &str = "outbox";
/// Channel on which claims are told, among other changes: each makes room in the window.
const CHANGED_CHANNEL: &str = "execution_changed";
/// Most rows per batch: large enough to pipeline well, small enough that a batch is confirmed in milliseconds.
const BATCH: i64 = 64;
/// Batches that wait for confirms at the same time, so that a new row never waits for another's confirm.
const BATCHES_IN_FLIGHT: usize = 4;
/// One listens, one marks, two take marks back.
const RELAY_CONNECTIONS: u32 = 4;
/// Rows of which nobody told us (their writer died after its commit) are found this late at most.
const IDLE_SWEEP: Duration = Duration::from_secs(1);
/// Before rows that the broker did not take are tried again: it may refuse for longer than a moment.
const REFUSED_PAUSE: Duration = Duration::from_millis(250);
/// While rows wait for room in the window and no claim is announced.
const FULL_WINDOW_SWEEP: Duration = Duration::from_millis(50);

/// The relay of one api process. Several run side by side.
#[derive(Debug)]
pub struct Relay {
    pool: PgPool,
    broker: Broker,
    publisher: Arc<Publisher>,
    wake: Arc<Notify>,
    workspace_limit: i64,
    /// Rows wait for room in the window, which claims make.
    window_full: AtomicBool,
}

impl Relay {
    /// Takes only the address from `pool`. `wake` is notified in this process after each commit that wrote an outbox row.
    #[must_use]
    pub fn new(pool: &PgPool, broker: Broker, topology: Topology, wake: Arc<Notify>) -> Self {
        let pool = relay_pool(pool);
        let publisher = Arc::new(Publisher::new(broker.clone(), topology));
        Self { pool, broker, publisher, wake, workspace_limit: 0, window_full: AtomicBool::new(false) }
    }

    /// Lets at most this many executions of a workspace run at a time, unless the workspace has a number of its own;
    /// 0 is no limit.
    #[must_use]
    pub fn with_workspace_limit(mut self, limit: u32) -> Self {
        self.workspace_limit = limit.into();
        self
    }

    /// Runs until told to stop; then waits for the confirms under way.
    pub async fn run(self, shutdown: CancellationToken) {
        let recovery = recovery::run(&self.pool, &self.broker, self.publisher.topology(), &self.wake);
        let listener = self.listen();
        let mut batches = JoinSet::new();
        let relay = async { tokio::join!(recovery, listener, self.dispatch(&mut batches)) };
        shutdown.run_until_cancelled(Box::pin(relay)).await;
        batches.join_all().await;
    }

    async fn dispatch(&self, batches: &mut JoinSet<()>) {
        let mut backoff = Backoff::CONNECTION;
        while self.publisher.ready().await.is_some() {
            match outbox::depart(&self.pool, BATCH, self.workspace_limit).await {
                Ok(departures) if departures.is_empty() => self.rest().await,
                Ok(departures) => {
                    backoff.reset();
                    while batches.len() >= BATCHES_IN_FLIGHT {
                        batches.join_next().await;
                    }
                    batches.spawn(publish(self.pool.clone(), Arc::clone(&self.publisher), departures));
                }
                Err(error) => {
                    tracing::warn!(%error, "the relay can't read the outbox");
                    backoff.wait().await;
                }
            }
            while batches.try_join_next().is_some() {}
        }
    }

    /// Wakes the relay whenever another process has written outbox rows, or a claim has made room.
    async fn listen(&self) {
        let mut backoff = Backoff::CONNECTION;
        loop {
            if let Err(error) = self.listen_once(&mut backoff).await {
                tracing::warn!(%error, "the relay can't listen");
            }
            backoff.wait().await;
        }
    }

    async fn listen_once(&self, backoff: &mut Backoff) -> sqlx::Result<()> {
        let mut listener = PgListener::connect_with(&self.pool).await?;
        listener.listen_all([OUTBOX_CHANNEL, CHANGED_CHANNEL]).await?;
        backoff.reset();
        loop {
            // `None` is a connection that was lost: the listener has a new one, but something may have been missed.
            let notification = listener.try_recv().await?;
            let is_change =
                notification.is_some_and(|notification| notification.channel() == CHANGED_CHANNEL);
            if !is_change || self.window_full.load(Ordering::Relaxed) {
                self.wake.notify_one();
            }
        }
    }

    /// Waits until there may be something to publish.
    async fn rest(&self) {
        let waiting = outbox::waiting(&self.pool).await.unwrap_or(Waiting::Nothing);
        self.window_full.store(waiting == Waiting::ForRoom, Ordering::Relaxed);
        let pause = match waiting {
            Waiting::Nothing => IDLE_SWEEP,
            Waiting::ForRoom => FULL_WINDOW_SWEEP,
            Waiting::ForTime(wait) => wait.min(IDLE_SWEEP),
        };
        // A timeout is as good a reason to look as a wake.
        drop(tokio::time::timeout(pause, self.wake.notified()).await);
    }
}

/// Connections of the relay's own, since it can do without waiting for the disk: a mark lost in a crash of the
/// database costs one message too many.
fn relay_pool(pool: &PgPool) -> PgPool {
    let options = pool.connect_options().as_ref().clone().options([("synchronous_commit", "off")]);
    PgPoolOptions::new()
        .max_connections(RELAY_CONNECTIONS)
        .idle_timeout(None)
        .test_before_acquire(false)
        .connect_lazy_with(options)
}

/// Publishes one batch and takes the mark from what the broker does not have.
async fn publish(pool: PgPool, publisher: Arc<Publisher>, departures: Vec<Departure>) {
    let topology = publisher.topology();
    let steps: Vec<Step> = departures.iter().map(begin).collect();
    let messages = departures.iter().zip(&steps);
    let batch: Vec<Publication> =
        messages.map(|(departure, step)| message(departure, step, topology)).collect();
    let results = publisher.publish(&batch).await;
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
    if let Err(error) = outbox::take_back(&pool, &failed).await {
        // The recovery finds them by their age.
        tracing::warn!(%error, rows = failed.len(), "can't take back the marks of unpublished rows");
    }
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
