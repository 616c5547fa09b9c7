//! Consumes messages while slots are free, and drains.
//!
//! Invariant: after [`Fleet::serve`] has returned, this worker holds nothing: every run is finished or handed back,
//! every message acknowledged or back in its queue.

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
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{sync::Notify, task::JoinSet};

/// For storing what runs ended with, and handing back, after the drain's own time is over.
const LAST_WRITES: Duration = Duration::from_secs(5);

/// One worker: what its runs share.
pub struct Fleet {
    pub runner: Runner,
    /// On a connection of its own: a broker that blocks publishers still takes acknowledgements.
    pub dead_letters: Publisher,
    /// Nothing new is taken on.
    pub draining: AtomicBool,
    /// The last heartbeat reached the database.
    pub database_up: AtomicBool,
    /// Asks for a heartbeat now.
    pub pulse_now: Notify,
}

impl Fleet {
    #[must_use]
    pub fn new(runner: Runner, dead_letters: Publisher) -> Self {
        Self {
            runner,
            dead_letters,
            draining: AtomicBool::new(false),
            database_up: AtomicBool::new(false),
            pulse_now: Notify::new(),
        }
    }

    /// Takes on work until told to stop; then lets runs finish for `drain_timeout` and hands back the rest.
    pub async fn serve(self: Arc<Self>, mut consumer: Consumer, drain_timeout: Duration) {
        let mut runs = JoinSet::new();
        while let Some(Some(delivery)) = self.runner.stopping.run_until_cancelled(consumer.next()).await {
            runs.spawn(Arc::clone(&self).run(delivery));
            while runs.try_join_next().is_some() {}
        }
        self.draining.store(true, Ordering::Release);
        self.pulse_now.notify_one();
        // Late acknowledgements need the channel.
        let _channel = consumer.stop().await;
        tracing::info!(runs = runs.len(), timeout_s = drain_timeout.as_secs(), "draining");
        if tokio::time::timeout(drain_timeout, join_all(&mut runs)).await.is_err() {
            tracing::info!(runs = runs.len(), "handing back what did not finish in time");
            self.runner.attempts.interrupt_all(Interruption::Drained);
            if tokio::time::timeout(LAST_WRITES, join_all(&mut runs)).await.is_err() {
                tracing::warn!(runs = runs.len(), "left to the reaper");
            }
        }
        if let Err(error) = self.runner.claims.sign_off().await {
            tracing::warn!(%error, "can't sign off");
        }
    }

    async fn run(self: Arc<Self>, delivery: Delivery) {
        if delivery.redelivered() {
            REDELIVERIES.with::<&str>([]).increment(1);
        }
        let processed =
            AssertUnwindSafe(execution::process(&self.runner, delivery.body(), delivery.header(TRACEPARENT)))
                .catch_unwind()
                .await;
        // The panic itself was logged where it happened. What was claimed is found by the reaper.
        let settlement = processed.unwrap_or(Settlement::Ack);
        DELIVERIES.with([settlement.as_str()]).increment(1);
        match settlement {
            Settlement::Ack => delivery.ack().await,
            Settlement::Requeue => delivery.requeue().await,
            Settlement::Reject(reason) => {
                let exchange = &self.dead_letters.topology().executions;
                self.dead_letters.bury(delivery, exchange, &reason, &self.runner.stopping).await;
            }
        }
    }
}

async fn join_all(runs: &mut JoinSet<()>) {
    while runs.join_next().await.is_some() {}
}
