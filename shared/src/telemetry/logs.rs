//! Log lines of the api and the worker, on standard error.
//!
//! Invariant: no line contains the code, input or output of a script. Libraries log from `info` up, whatever the
//! filter: their more detailed lines quote statements with their parameters, frames and bodies.

use super::{Settings, TelemetryError};
use std::fmt;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{Level, Metadata};
use tracing_subscriber::{
    EnvFilter, Layer, Registry, filter::filter_fn, layer::SubscriberExt, reload, util::SubscriberInitExt,
};

/// Format of log lines (`LOG_FORMAT`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// A JSON object per line.
    Json,
    /// Readable text for a terminal.
    Pretty,
}

impl LogFormat {
    /// All formats.
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

/// Handle that changes the log filter at run time.
#[derive(Clone, Debug)]
pub struct LogControl {
    filter: reload::Handle<EnvFilter, Registry>,
    /// Filter with which the program was started.
    initial: String,
}

/// Filter that [`LogControl::toggle_on_signal`] turns on.
const DETAILED: &str = "debug";

impl LogControl {
    /// Replaces the filter, for example with `info,worker::supervisor=debug`.
    pub fn set_filter(&self, filter: &str) -> Result<(), TelemetryError> {
        Ok(self.filter.reload(EnvFilter::try_new(filter)?)?)
    }

    /// Turns `debug` on with a SIGUSR1 and off with the next one.
    pub fn toggle_on_signal(self) -> Result<(), TelemetryError> {
        let mut signals = signal(SignalKind::user_defined1())?;
        tokio::spawn(async move {
            let mut detailed = false;
            while signals.recv().await.is_some() {
                detailed = !detailed;
                let filter = if detailed { DETAILED } else { &self.initial };
                match self.set_filter(filter) {
                    Ok(()) => tracing::info!(filter, "log level changed"),
                    Err(error) => tracing::warn!(%error, filter, "can't change the log level"),
                }
            }
        });
        Ok(())
    }
}

/// Sends log lines that pass the filter (`RUST_LOG` syntax) to standard error, for the whole process.
///
/// Standard output stays free for the output of commands such as `api keys create`.
pub fn init(settings: &Settings) -> Result<LogControl, TelemetryError> {
    let initial = settings.log_level.clone();
    let (filter, handle) = reload::Layer::new(EnvFilter::try_new(&initial)?);
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines = match settings.log_format {
        LogFormat::Json => {
            lines.json().flatten_event(true).with_current_span(true).with_span_list(false).boxed()
        }
        LogFormat::Pretty => lines.with_target(false).boxed(),
    };
    // Filters of the whole registry. A filter of one layer caches its decision per thread, and a library that only
    // tests whether a line is enabled (sqlx does) would suppress the next line of RunnerCtl on that thread.
    tracing_subscriber::registry().with(filter).with(filter_fn(is_allowed)).with(lines).try_init()?;
    Ok(LogControl { filter: handle, initial })
}

/// Crates whose log lines are known to contain no user data.
const OWN_CRATES: [&str; 3] = ["api", "shared", "worker"];

fn is_allowed(metadata: &Metadata<'_>) -> bool {
    let krate = metadata.target().split("::").next().unwrap_or_default();
    *metadata.level() <= Level::INFO || OWN_CRATES.contains(&krate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_formats_have_the_names_of_the_configuration() {
        let mut environment = crate::config::EnvReader::from([("LOG_FORMAT", "pretty")]);
        assert_eq!(environment.choice_or("LOG_FORMAT", LogFormat::Json, LogFormat::ALL), LogFormat::Pretty);
    }
}
