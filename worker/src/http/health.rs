//! `/health` and `/readyz`: state of the worker, for probes and operators.

use super::{HttpError, ServerState};
use crate::supervisor::LaunchMode;
use axum::{Json, extract::State};
use serde::Serialize;
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// State of the worker's connections, true if connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Connections {
    pub database: bool,
    pub broker: bool,
}

/// Response of `/health`. The status is always `ok`: `execute-sync` needs neither connection, and an outage of the broker must
/// not make an orchestrator restart every worker.
#[derive(Debug, Serialize)]
pub(super) struct Health {
    status: &'static str,
    slots: usize,
    busy: usize,
    /// Isolation layers that hold.
    layers: Vec<String>,
    /// Isolation layers that this host does not support.
    missing_layers: Vec<String>,
    /// Way in which sandbox processes are made: `fork` from a template, or `spawn` where the host does not allow that.
    launch_mode: LaunchMode,
    connections: Connections,
    version: &'static str,
}

pub(super) async fn health(State(state): State<Arc<ServerState>>) -> Json<Health> {
    let pool = state.pool.status();
    Json(Health {
        status: "ok",
        slots: pool.slots,
        busy: pool.busy,
        layers: pool.layers,
        missing_layers: pool.missing_layers,
        launch_mode: pool.launch_mode,
        connections: (state.connections)(),
        version: env!("CARGO_PKG_VERSION"),
    })
}

/// Connections that a worker needs before it is ready.
///
/// A worker is ready once it has reached both servers, and stays ready: a rollout with a wrong Secret stops at its first
/// pod, and an outage does not take every worker away from the callers of `execute-sync`.
#[derive(Debug, Default)]
pub struct Readiness {
    reached_database: AtomicBool,
    reached_broker: AtomicBool,
}

impl Readiness {
    /// Lists what was never reached, each with `reason`. Empty if the worker is ready.
    fn missing(&self, connections: Connections, reason: &dyn Fn(&'static str) -> String) -> Vec<String> {
        let parts = [
            ("database", &self.reached_database, connections.database),
            ("broker", &self.reached_broker, connections.broker),
        ];
        let unreached =
            parts.into_iter().filter(|(_, reached, now)| !(reached.fetch_or(*now, Ordering::AcqRel) || *now));
        unreached.map(|(name, ..)| format!("{name}: {}", reason(name))).collect()
    }
}

/// Response of `/readyz` with status 200.
#[derive(Debug, Serialize)]
pub(super) struct Ready {
    status: &'static str,
}

pub(super) async fn ready(State(state): State<Arc<ServerState>>) -> Result<Json<Ready>, HttpError> {
    let missing = state.readiness.missing((state.connections)(), &*state.connection_error);
    if missing.is_empty() {
        return Ok(Json(Ready { status: "ready" }));
    }
    let detail = format!("The worker has not reached these servers yet. {}", missing.join("; "));
    Err(HttpError::unavailable("not_ready", detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_is_ready_once_it_has_reached_both_servers() {
        let readiness = Readiness::default();
        let missing = |database, broker| {
            readiness.missing(Connections { database, broker }, &|name| format!("no {name}"))
        };
        assert_eq!(missing(false, false), ["database: no database", "broker: no broker"]);
        assert_eq!(missing(true, false), ["broker: no broker"]);
        assert_eq!(missing(false, true), [""; 0], "both were reached, at different times");
        assert_eq!(missing(false, false), [""; 0], "an outage takes no ready worker away");
    }
}
