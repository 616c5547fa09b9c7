//! Logs, metrics and traces of the api and the worker. The output of scripts is data of an execution and never part of
//! these.

pub mod logs;
pub mod metrics;
pub mod traces;

pub use logs::{LogControl, LogFormat};
pub use traces::Tracing;

use crate::config::EnvReader;
use ::metrics::{describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use std::{io, time::Duration};
use tracing_subscriber::{filter::ParseError, reload, util::TryInitError};
use url::Url;

/// Telemetry settings of both programs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `LOG_FORMAT`: `json`, or `pretty` for a terminal.
    pub log_format: LogFormat,
    /// `LOG_LEVEL`: log level, or levels per module, such as `info` or `info,worker=debug`. Libraries never log
    /// below `info`.
    pub log_level: String,
    /// `OTEL_EXPORTER_OTLP_ENDPOINT`: URL of the collector of traces, as OTLP over HTTP. No traces are made if not set.
    /// The SDK's own variables (`OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_TRACES_SAMPLER`, `OTEL_BSP_…`) are supported, too.
    pub otlp_endpoint: Option<Url>,
}

impl Settings {
    /// Reads the variables. A problem is recorded in `environment`, and the default is used.
    pub fn read_from(environment: &mut EnvReader) -> Self {
        Self {
            log_format: environment.choice_or("LOG_FORMAT", LogFormat::Json, LogFormat::ALL),
            log_level: environment.text_or("LOG_LEVEL", "info"),
            otlp_endpoint: environment.optional_as("OTEL_EXPORTER_OTLP_ENDPOINT", |text| {
                Url::parse(text)
                    .ok()
                    .filter(|url| matches!(url.scheme(), "http" | "https"))
                    .ok_or("must be an http or https URL")
            }),
        }
    }
}

/// Errors in the set-up of logs, metrics and traces.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    #[error("LOG_LEVEL can't be read: {0}")]
    Filter(#[from] ParseError),
    #[error("logs were set up before: {0}")]
    AlreadyLogging(#[from] TryInitError),
    #[error("the log filter can't be changed: {0}")]
    Reload(#[from] reload::Error),
    #[error("the handler of the signal that changes the log level can't be installed: {0}")]
    Signal(#[from] io::Error),
    #[error("metrics can't be set up: {0}")]
    Metrics(#[from] BuildError),
    #[error("traces can't be exported: {0}")]
    Traces(#[from] opentelemetry_otlp::ExporterBuildError),
}

/// Interval at which observations of histograms are sorted into buckets. Until then, or until a scrape, each is kept.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// Installs the metrics recorder of the process, with the buckets and help texts of [`metrics::ALL`]. Bounds its memory
/// as long as the runtime lives, with or without scrapes. The handle renders `/metrics`.
///
/// # Panics
/// Outside a tokio runtime.
pub fn install_metrics() -> Result<PrometheusHandle, TelemetryError> {
    let handle = prometheus()?.install_recorder()?;
    describe_all();
    metrics::BUILD_INFO.with([env!("CARGO_PKG_VERSION")]).set(1.0);
    let upkeep = handle.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(UPKEEP_INTERVAL).await;
            upkeep.run_upkeep();
        }
    });
    Ok(handle)
}

fn prometheus() -> Result<PrometheusBuilder, BuildError> {
    metrics::ALL.iter().try_fold(PrometheusBuilder::new(), |builder, metric| match metric.kind {
        metrics::MetricKind::Histogram { buckets } => {
            builder.set_buckets_for_metric(Matcher::Full(metric.name.to_owned()), buckets)
        }
        metrics::MetricKind::Counter | metrics::MetricKind::Gauge => Ok(builder),
    })
}

fn describe_all() {
    for metric in metrics::ALL {
        match metric.kind {
            metrics::MetricKind::Counter => describe_counter!(metric.name, metric.help),
            metrics::MetricKind::Gauge => describe_gauge!(metric.name, metric.help),
            metrics::MetricKind::Histogram { .. } => describe_histogram!(metric.name, metric.help),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_rendered_with_help_and_buckets() {
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
    fn the_settings_have_defaults_and_name_what_is_wrong() {
        let mut environment = EnvReader::from([]);
        let settings = Settings::read_from(&mut environment);
        assert_eq!((settings.log_format, settings.log_level.as_str()), (LogFormat::Json, "info"));
        assert_eq!((settings.otlp_endpoint, environment.finish(|| Some(()))), (None, Ok(())));

        let wrong = [("LOG_FORMAT", "xml"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318")];
        let mut environment = EnvReader::from(wrong);
        Settings::read_from(&mut environment);
        let problems = environment.finish(|| Some(())).unwrap_err();
        assert_eq!(
            problems.to_string(),
            "configuration: LOG_FORMAT must be one of json, pretty; \
             OTEL_EXPORTER_OTLP_ENDPOINT must be an http or https URL"
        );
    }
}
