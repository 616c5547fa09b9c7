//! Heartbeats, and the interruption of attempts that a heartbeat or a notification reports as cancelled or lost.

use super::ExecutionConsumer;
use crate::{
    db::{Database, DatabaseError, Notification, listen},
    execution::settle::Interruption,
    lease::{HEARTBEAT, WorkerRow},
};
use shared::{
    delivery::channel::EXECUTION_CANCEL,
    telemetry::metrics::{CONNECTION_UP, DATABASE_CONNECTIONS, SLOTS, SLOTS_BUSY, SLOTS_BUSY_SECONDS},
};
use std::{
    sync::{PoisonError, atomic::Ordering},
    time::Duration,
};
use tokio::sync::mpsc;

/// Pause after a failed heartbeat, in seconds. Several of them fit into a lease.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// Converts a count for a gauge. The counts here are small enough to be exact.
fn approximate(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

impl ExecutionConsumer {
    /// Sends heartbeats, which renew the leases, for as long as it is polled.
    pub(crate) async fn keep_leases(&self) {
        loop {
            let sent = self.heartbeat().await;
            if let Err(error) = &sent {
                tracing::warn!(%error, "heartbeat failed: the leases of this worker were not renewed");
            }
            *self.database_error.lock().unwrap_or_else(PoisonError::into_inner) =
                sent.as_ref().err().map(ToString::to_string);
            let pause = if sent.is_ok() { HEARTBEAT } else { RETRY_INTERVAL };
            self.database_up.store(sent.is_ok(), Ordering::Release);
            CONNECTION_UP.with(["database", "pool"]).set(if sent.is_ok() { 1.0 } else { 0.0 });
            // Usually ends by its timeout.
            drop(tokio::time::timeout(pause, self.heartbeat_now.notified()).await);
        }
    }

    async fn heartbeat(&self) -> Result<(), DatabaseError> {
        let in_flight = self.runner.attempts.list();
        let status = self.runner.pool.status();
        SLOTS.with::<&str>([]).set(approximate(status.slots));
        SLOTS_BUSY.with::<&str>([]).set(approximate(status.busy));
        SLOTS_BUSY_SECONDS.with::<&str>([]).increment(self.runner.busy_time.take_seconds());
        let (connections, idle) = self.runner.claims.connections();
        DATABASE_CONNECTIONS.with(["idle"]).set(approximate(idle));
        DATABASE_CONNECTIONS.with(["in_use"]).set(approximate(connections.saturating_sub(idle)));
        let row = WorkerRow {
            slots: i32::try_from(status.slots).unwrap_or(i32::MAX),
            busy: i32::try_from(in_flight.len()).unwrap_or(i32::MAX),
            layers: status.layers.clone(),
            draining: self.draining.load(Ordering::Acquire),
        };
        let replies = self.runner.claims.heartbeat(&row, &in_flight).await?;
        for attempt in in_flight {
            match replies.iter().find(|reply| reply.attempt == attempt) {
                Some(reply) if reply.cancel_requested => {
                    self.runner.attempts.interrupt(attempt, Interruption::Cancelled);
                }
                Some(_) => {}
                // The attempt is over, or belongs to another worker. If it is over, its guard is about to be dropped,
                // and nothing is interrupted.
                None => self.runner.attempts.interrupt(attempt, Interruption::Fenced),
            }
        }
        Ok(())
    }

    /// Interrupts executions whose cancel is notified, for as long as it is polled.
    pub(crate) async fn listen_for_cancels(&self, database: &Database) {
        let (sender, mut notifications) = mpsc::channel(64);
        let interrupt = async {
            while let Some(notification) = notifications.recv().await {
                match notification {
                    // The heartbeat's replies contain the cancels that were missed.
                    Notification::Listening => self.heartbeat_now.notify_one(),
                    Notification::Payload(text) => {
                        if let Ok(id) = text.parse() {
                            self.runner.attempts.interrupt_execution(id, Interruption::Cancelled);
                        } else {
                            tracing::warn!(
                                channel = EXECUTION_CANCEL,
                                "the payload of a cancel notification is not an execution id"
                            );
                        }
                    }
                }
            }
        };
        tokio::join!(listen(database, EXECUTION_CANCEL, sender), interrupt);
    }
}
