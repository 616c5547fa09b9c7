//! The worker's parts together with real servers and processes.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod author_page;
mod delivery;
mod endpoints;
mod fetch;
mod fixtures;
mod http;
mod packages;
mod plane_token;
mod runtime;
mod sandbox;
mod security_page;

use metrics_exporter_prometheus::PrometheusHandle;
use std::sync::LazyLock;

/// The process's metrics: there is one recorder, whatever the number of tests.
fn metrics() -> PrometheusHandle {
    static METRICS: LazyLock<PrometheusHandle> =
        LazyLock::new(|| shared::telemetry::install_metrics().unwrap());
    METRICS.clone()
}
