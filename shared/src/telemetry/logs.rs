//! Log lines of the services, on standard error.
//!
//! Invariant: no line holds what a script is, gets or prints. Libraries are heard from `info` up, whatever the filter
//! says: their finer lines quote statements with their parameters, frames and bodies.

use super::{Settings, TelemetryError};
use std::fmt;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{Level, Metadata};
use tracing_subscriber::{
    EnvFilter, Layer, Registry, filter::filter_fn, layer::SubscriberExt, reload, util::SubscriberInitExt,
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

/// Changes what is logged while the program runs.
#[derive(Clone, Debug)]
pub struct LogControl {
    filter: reload::Handle<EnvFilter, Registry>,
    /// The filter the program was started with.
    usual: String,
}

/// What [`LogControl::toggle_on_signal`] turns on.
const DETAILED: &str = "debug";

impl LogControl {
    /// Replaces the filter, for example by `info,worker::supervisor=debug`.
    pub fn set_filter(&self, filter: &str) -> Result<(), TelemetryError> {
        Ok(self.filter.reload(EnvFilter::try_new(filter)?)?)
    }

    /// From now on every SIGUSR1 turns `debug` on, and the next one off again.
    pub fn toggle_on_signal(self) -> Result<(), TelemetryError> {
        let mut signals = signal(SignalKind::user_defined1())?;
        tokio::spawn(async move {
            let mut detailed = false;
            while signals.recv().await.is_some() {
                detailed = !detailed;
                let filter = if detailed { DETAILED } else { &self.usual };
                match self.set_filter(filter) {
                    Ok(()) => tracing::info!(filter, "log level changed"),
                    Err(error) => tracing::warn!(%error, filter, "log level not changed"),
                }
            }
        });
        Ok(())
    }
}

/// Sends log lines that the filter lets through (`RUST_LOG` syntax) to standard error, for the whole process.
///
/// Standard output stays free for what a command answers, such as `api keys create`.
pub fn init(settings: &Settings) -> Result<LogControl, TelemetryError> {
    let usual = settings.log_level.clone();
    let (filter, handle) = reload::Layer::new(EnvFilter::try_new(&usual)?);
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines = match settings.log_format {
        LogFormat::Json => {
            lines.json().flatten_event(true).with_current_span(true).with_span_list(false).boxed()
        }
        LogFormat::Pretty => lines.with_target(false).boxed(),
    };
    // Filters of the whole registry. One of a layer's own keeps what it decided per thread, and a library that only asks
    // whether it may speak (sqlx does) would silence the next line of ours there.
    tracing_subscriber::registry().with(filter).with(filter_fn(may_be_told)).with(lines).try_init()?;
    Ok(LogControl { filter: handle, usual })
}

/// Crates whose every line is known to hold no user's data.
const OURS: [&str; 3] = ["api", "shared", "worker"];

fn may_be_told(metadata: &Metadata<'_>) -> bool {
    let krate = metadata.target().split("::").next().unwrap_or_default();
    *metadata.level() <= Level::INFO || OURS.contains(&krate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_formats_have_the_names_of_the_configuration() {
        let mut environment = crate::config::Environment::from([("LOG_FORMAT", "pretty")]);
        assert_eq!(environment.choice_or("LOG_FORMAT", LogFormat::Json, LogFormat::ALL), LogFormat::Pretty);
    }
}
