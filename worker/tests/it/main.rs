//! Integration tests of the worker, with real servers and processes.

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

/// Returns the metrics of this process. It has one recorder, whatever the number of tests.
fn metrics() -> PrometheusHandle {
    static METRICS: LazyLock<PrometheusHandle> =
        LazyLock::new(|| shared::telemetry::install_metrics().unwrap());
    METRICS.clone()
}
