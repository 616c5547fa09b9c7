//! Heartbeats, and what they and LISTEN tell about held attempts.

use super::Fleet;
use crate::{
    db::{Database, DatabaseError, Notification, listen},
    execution::settle::Interruption,
    lease::{HEARTBEAT, WorkerRow},
};
use shared::telemetry::metrics::{CONNECTION_UP, DATABASE_CONNECTIONS, SLOTS, SLOTS_BUSY};
use std::{sync::atomic::Ordering, time::Duration};
use tokio::sync::mpsc;

/// Channel on which the cancelling of a running execution is told.
const CANCEL_CHANNEL: &str = "execution_cancel";
/// After a heartbeat that failed; several fit into a lease.
const RETRY: Duration = Duration::from_secs(1);

/// A count as a gauge takes it; ours are small enough to be exact.
fn approximate(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

impl Fleet {
    /// Keeps the leases for as long as it is polled.
    pub async fn keep_leases(&self) {
        loop {
            let beaten = self.beat().await.inspect_err(|error| tracing::warn!(%error, "heartbeat failed"));
            let pause = if beaten.is_ok() { HEARTBEAT } else { RETRY };
            self.database_up.store(beaten.is_ok(), Ordering::Release);
            CONNECTION_UP.with(["database", "pool"]).set(if beaten.is_ok() { 1.0 } else { 0.0 });
            // A timeout is the usual reason to go on.
            drop(tokio::time::timeout(pause, self.pulse_now.notified()).await);
        }
    }

    async fn beat(&self) -> Result<(), DatabaseError> {
        let held = self.runner.attempts.list();
        let status = self.runner.pool.status();
        SLOTS.with::<&str>([]).set(approximate(status.slots));
        SLOTS_BUSY.with::<&str>([]).set(approximate(status.busy));
        let (connections, idle) = self.runner.claims.connections();
        DATABASE_CONNECTIONS.with(["idle"]).set(approximate(idle));
        DATABASE_CONNECTIONS.with(["in_use"]).set(approximate(connections.saturating_sub(idle)));
        let row = WorkerRow {
            slots: i32::try_from(status.slots).unwrap_or(i32::MAX),
            busy: i32::try_from(held.len()).unwrap_or(i32::MAX),
            layers: status.layers.clone(),
            draining: self.draining.load(Ordering::Acquire),
        };
        let alive = self.runner.claims.beat(&row, &held).await?;
        for attempt in held {
            match alive.iter().find(|pulse| pulse.attempt == attempt) {
                Some(pulse) if pulse.cancel_requested => {
                    self.runner.attempts.interrupt(attempt, Interruption::Cancelled);
                }
                Some(_) => {}
                // Over already, or taken from us. If it is over, its guard is about to go and nothing is stopped.
                None => self.runner.attempts.interrupt(attempt, Interruption::Fenced),
            }
        }
        Ok(())
    }

    /// Hears of cancelled executions for as long as it is polled.
    pub async fn hear_cancels(&self, database: &Database) {
        let (sender, mut heard) = mpsc::channel(64);
        let hear = async {
            while let Some(notification) = heard.recv().await {
                match notification {
                    // The heartbeat asks for what was missed.
                    Notification::Listening => self.pulse_now.notify_one(),
                    Notification::Payload(text) => {
                        if let Ok(id) = text.parse() {
                            self.runner.attempts.interrupt_execution(id, Interruption::Cancelled);
                        } else {
                            tracing::warn!("a cancel that names no execution");
                        }
                    }
                }
            }
        };
        tokio::join!(listen(database, CANCEL_CHANNEL, sender), hear);
    }
}
