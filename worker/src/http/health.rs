//! `/health`: state of the worker, for probes and operators.

use super::ServerState;
use crate::supervisor::LaunchMode;
use axum::{Json, extract::State};
use serde::Serialize;
use std::sync::Arc;

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
    /// How sandbox processes are made: `fork` from a template, or `spawn` where the host does not allow that.
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
