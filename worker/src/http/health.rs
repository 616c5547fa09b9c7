//! How the worker is, for probes and people.

use super::ServerState;
use axum::{Json, extract::State};
use serde::Serialize;
use std::sync::Arc;

/// Which connections stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Connections {
    pub database: bool,
    pub broker: bool,
}

/// Always `ok` while the process answers: `execute-sync` needs neither connection, and a broker's outage must not
/// make an orchestrator restart every worker.
#[derive(Debug, Serialize)]
pub(super) struct Health {
    status: &'static str,
    slots: usize,
    busy: usize,
    /// Isolation layers in force.
    layers: Vec<String>,
    /// Isolation layers this host does not give.
    missing_layers: Vec<String>,
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
        connections: (state.connections)(),
        version: env!("CARGO_PKG_VERSION"),
    })
}
