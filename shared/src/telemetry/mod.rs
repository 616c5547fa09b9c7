//! Logs and metrics of the services themselves. What scripts print is data of an execution and never comes here.

pub mod metrics;

use ::metrics::{describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use std::fmt;
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    filter::ParseError,
    layer::SubscriberExt,
    reload,
    util::{SubscriberInitExt, TryInitError},
};

/// How log lines are written (`LOG_FORMAT`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object per line.
    Json,
    /// For people at a terminal.
    Pretty,
}

impl LogFormat {
    /// Every format.
    pub const ALL: &'static [Self] = &[Self::Json, Self::Pretty];
}

impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Json => "json",
            Self::Pretty => "pretty",
        })
    }
}

/// Why logs or metrics can't begin.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    #[error("the log filter can't be read: {0}")]
    Filter(#[from] ParseError),
    #[error("logs were set up before: {0}")]
    AlreadyLogging(#[from] TryInitError),
    #[error("the log filter can't be changed: {0}")]
    Reload(#[from] reload::Error),
    #[error("metrics can't be set up: {0}")]
    Metrics(#[from] BuildError),
}

/// Changes what is logged while the program runs.
#[derive(Clone, Debug)]
pub struct LogControl(reload::Handle<EnvFilter, Registry>);

impl LogControl {
    /// Replaces the filter, for example by `info,worker::supervisor=debug`.
    pub fn set_filter(&self, filter: &str) -> Result<(), TelemetryError> {
        Ok(self.0.reload(EnvFilter::try_new(filter)?)?)
    }
}

/// Sends log lines that `filter` lets through (`RUST_LOG` syntax) to standard error, for the whole process.
///
/// Standard output stays free for what a command answers, such as `api keys create`.
pub fn init_logs(format: LogFormat, filter: &str) -> Result<LogControl, TelemetryError> {
    let (filter, handle) = reload::Layer::new(EnvFilter::try_new(filter)?);
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines = match format {
        LogFormat::Json => {
            lines.json().flatten_event(true).with_current_span(true).with_span_list(false).boxed()
        }
        LogFormat::Pretty => lines.with_target(false).boxed(),
    };
    tracing_subscriber::registry().with(filter).with(lines).try_init()?;
    Ok(LogControl(handle))
}

/// Makes the process's metrics recorder, with the buckets and help texts of [`metrics::ALL`].
///
/// The handle renders `/metrics`; its owner calls `run_upkeep` every few seconds.
pub fn install_metrics() -> Result<PrometheusHandle, TelemetryError> {
    let handle = prometheus()?.install_recorder()?;
    describe_all();
    metrics::BUILD_INFO.with([env!("CARGO_PKG_VERSION")]).set(1.0);
    Ok(handle)
}

fn prometheus() -> Result<PrometheusBuilder, BuildError> {
    metrics::ALL.iter().try_fold(PrometheusBuilder::new(), |builder, metric| match metric.kind {
        metrics::Kind::Histogram { buckets } => {
            builder.set_buckets_for_metric(Matcher::Full(metric.name.to_owned()), buckets)
        }
        metrics::Kind::Counter | metrics::Kind::Gauge => Ok(builder),
    })
}

fn describe_all() {
    for metric in metrics::ALL {
        match metric.kind {
            metrics::Kind::Counter => describe_counter!(metric.name, metric.help),
            metrics::Kind::Gauge => describe_gauge!(metric.name, metric.help),
            metrics::Kind::Histogram { .. } => describe_histogram!(metric.name, metric.help),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_recorded_is_rendered_with_help_and_buckets() {
        let recorder = prometheus().unwrap().build_recorder();
        let handle = recorder.handle();
        ::metrics::with_local_recorder(&recorder, || {
            describe_all();
            metrics::EXECUTIONS.with(["completed", "none"]).increment(1);
            metrics::EXECUTION_RUN.with::<&str>([]).record(0.004);
            metrics::SLOTS.with::<&str>([]).set(4.0);
        });
        let text = handle.render();
        assert!(text.contains(r#"runnerctl_executions_total{status="completed",code="none"} 1"#), "{text}");
        assert!(text.contains(r#"runnerctl_execution_run_seconds_bucket{le="0.005"} 1"#), "{text}");
        assert!(text.contains("# HELP runnerctl_slots "), "{text}");
    }

    #[test]
    fn the_log_formats_have_the_names_of_the_configuration() {
        let mut environment = crate::config::Environment::from([("LOG_FORMAT", "pretty")]);
        assert_eq!(environment.choice_or("LOG_FORMAT", LogFormat::Json, LogFormat::ALL), LogFormat::Pretty);
    }
}
