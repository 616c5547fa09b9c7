//! Consumes messages while slots are free, and drains.
//!
//! Invariant: after [`Fleet::serve`] has returned, this worker holds nothing: every run is finished or handed back,
//! every message acknowledged or back in its queue.

mod heartbeat;

pub use crate::execution::in_flight::{Guard, Held};

use crate::{
    execution::{
        self, Preparation,
        settle::{Interruption, Settlement},
    },
    lease::Claims,
    supervisor::Pool,
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
use tokio_util::sync::CancellationToken;

/// For storing what runs ended with, and handing back, after the drain's own time is over.
const LAST_WRITES: Duration = Duration::from_secs(5);

/// One worker: what its runs share.
pub struct Fleet {
    pub claims: Claims,
    pub pool: Arc<Pool>,
    pub preparation: Preparation,
    /// On a connection of its own: a broker that blocks publishers still takes acknowledgements.
    pub dead_letters: Publisher,
    pub held: Held,
    /// Nothing new is taken on.
    pub draining: AtomicBool,
    /// The last heartbeat reached the database.
    pub database_up: AtomicBool,
    /// Cancelled with the drain: what has not begun must not begin.
    pub stopping: CancellationToken,
    /// Asks for a heartbeat now.
    pub pulse_now: Notify,
}

impl Fleet {
    #[must_use]
    pub fn new(
        claims: Claims,
        pool: Arc<Pool>,
        preparation: Preparation,
        dead_letters: Publisher,
        stopping: CancellationToken,
    ) -> Self {
        Self {
            claims,
            pool,
            preparation,
            dead_letters,
            held: Held::default(),
            draining: AtomicBool::new(false),
            database_up: AtomicBool::new(false),
            stopping,
            pulse_now: Notify::new(),
        }
    }

    /// Takes on work until told to stop; then lets runs finish for `drain_timeout` and hands back the rest.
    pub async fn serve(self: Arc<Self>, mut consumer: Consumer, drain_timeout: Duration) {
        let mut runs = JoinSet::new();
        while let Some(Some(delivery)) = self.stopping.run_until_cancelled(consumer.next()).await {
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
            self.held.interrupt_all(Interruption::Drained);
            if tokio::time::timeout(LAST_WRITES, join_all(&mut runs)).await.is_err() {
                tracing::warn!(runs = runs.len(), "left to the reaper");
            }
        }
        if let Err(error) = self.claims.sign_off().await {
            tracing::warn!(%error, "can't sign off");
        }
    }

    async fn run(self: Arc<Self>, delivery: Delivery) {
        if delivery.redelivered() {
            REDELIVERIES.with::<&str>([]).increment(1);
        }
        let processed =
            AssertUnwindSafe(execution::process(&self, delivery.body(), delivery.header(TRACEPARENT)))
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
                self.dead_letters.bury(delivery, exchange, &reason, &self.stopping).await;
            }
        }
    }
}

async fn join_all(runs: &mut JoinSet<()>) {
    while runs.join_next().await.is_some() {}
}
