//! Consumes messages while slots are free, and drains.
//!
//! Invariant: after [`ExecutionConsumer::serve`] has returned, every run of this worker is finished, released or left to
//! the reaper, and every message is acknowledged or back in its queue.

mod heartbeat;

use crate::execution::{
    self, Runner,
    settle::{Interruption, Settlement},
};
use futures_util::FutureExt;
use shared::{
    amqp::{Consumer, Delivery, Publisher},
    telemetry::{
        metrics::{DELIVERIES, REDELIVERIES},
        traces::TRACEPARENT,
    },
};
use std::{
    panic::AssertUnwindSafe,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{sync::Notify, task::JoinSet};

/// Limits, in seconds, how long runs that were interrupted at the end of the drain may take to store their outcomes and to
/// release their attempts.
const LAST_WRITES_TIMEOUT: Duration = Duration::from_secs(5);

/// Consumes the messages of executions, and keeps the leases of those that it runs.
pub(crate) struct ExecutionConsumer {
    pub runner: Runner,
    /// Publisher on a connection of its own: a broker that blocks publishers still accepts acknowledgements.
    pub dead_letters: Publisher,
    /// True once the drain has begun: no message is taken on any more.
    pub draining: AtomicBool,
    /// True if the last heartbeat reached the database.
    pub database_up: AtomicBool,
    /// Reason why the last heartbeat failed.
    pub database_error: Mutex<Option<String>>,
    /// Requests a heartbeat now.
    pub heartbeat_now: Notify,
}

impl ExecutionConsumer {
    #[must_use]
    pub(crate) fn new(runner: Runner, dead_letters: Publisher) -> Self {
        Self {
            runner,
            dead_letters,
            draining: AtomicBool::new(false),
            database_up: AtomicBool::new(false),
            database_error: Mutex::default(),
            heartbeat_now: Notify::new(),
        }
    }

    /// Takes on messages until the worker stops. Then waits up to `drain_timeout` for runs to finish, and interrupts the
    /// others, which releases their attempts.
    pub(crate) async fn serve(self: Arc<Self>, mut consumer: Consumer, drain_timeout: Duration) {
        let mut runs = JoinSet::new();
        while let Some(Some(delivery)) = self.runner.stopping.run_until_cancelled(consumer.next()).await {
            runs.spawn(Arc::clone(&self).run(delivery));
            while runs.try_join_next().is_some() {}
        }
        self.draining.store(true, Ordering::Release);
        self.heartbeat_now.notify_one();
        // Messages of runs that finish during the drain are acknowledged on this channel.
        let _channel = consumer.stop().await;
        tracing::info!(
            runs = runs.len(),
            timeout_s = drain_timeout.as_secs(),
            "draining: no new executions are taken on"
        );
        if tokio::time::timeout(drain_timeout, join_all(&mut runs)).await.is_err() {
            tracing::info!(
                runs = runs.len(),
                "drain timeout reached: unfinished runs are interrupted and released"
            );
            self.runner.attempts.interrupt_all(Interruption::Drained);
            if tokio::time::timeout(LAST_WRITES_TIMEOUT, join_all(&mut runs)).await.is_err() {
                tracing::warn!(
                    runs = runs.len(),
                    "runs did not end after the drain: the reaper takes them over when their leases end"
                );
            }
        }
        if let Err(error) = self.runner.claims.deregister().await {
            tracing::warn!(%error, "can't delete this worker's row from the table of workers");
        }
    }

    async fn run(self: Arc<Self>, delivery: Delivery) {
        let _slot = self.runner.busy_time.begin();
        if delivery.redelivered() {
            REDELIVERIES.with::<&str>([]).increment(1);
        }
        let processed =
            AssertUnwindSafe(execution::process(&self.runner, delivery.body(), delivery.header(TRACEPARENT)))
                .catch_unwind()
                .await;
        // The panic itself was logged where it happened. The reaper takes over an attempt that was claimed.
        let settlement = processed.unwrap_or(Settlement::Ack);
        DELIVERIES.with([settlement.as_str()]).increment(1);
        match settlement {
            Settlement::Ack => delivery.ack().await,
            Settlement::Requeue => delivery.requeue().await,
            Settlement::Reject(reason) => {
                let exchange = &self.dead_letters.topology().executions;
                self.dead_letters.dead_letter(delivery, exchange, &reason, &self.runner.stopping).await;
            }
        }
    }
}

async fn join_all(runs: &mut JoinSet<()>) {
    while runs.join_next().await.is_some() {}
}
