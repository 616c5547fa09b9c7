//! What is told of a request: to the run's log a line, to the operator a count. Never headers, bodies or paths.

use super::{Failure, Hop};
use metrics::counter;
use reqwest::StatusCode;
use std::{
    fmt,
    time::{Duration, Instant},
};

/// One request as the run's log shows it, at debug level: `GET api.example.com 200 35 ms`.
#[derive(Clone, Debug)]
pub struct RequestLine {
    method: String,
    host: String,
    pub(super) status: Option<StatusCode>,
    /// Why there is no answer, in the words the script sees.
    failure: Option<String>,
    start: Instant,
    elapsed: Duration,
}

impl RequestLine {
    pub(super) fn start(hop: &Hop) -> Self {
        Self {
            method: hop.method.to_string(),
            host: hop.host(),
            status: None,
            failure: None,
            start: Instant::now(),
            elapsed: Duration::ZERO,
        }
    }

    pub(super) fn finish(&mut self, failure: Option<&Failure>) {
        self.elapsed = self.start.elapsed();
        self.failure = failure.map(ToString::to_string);
    }
}

impl fmt::Display for RequestLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ", self.method, self.host)?;
        if let Some(status) = self.status {
            write!(f, "{} ", status.as_u16())?;
        }
        write!(f, "{} ms", self.elapsed.as_millis())?;
        self.failure.iter().try_for_each(|failure| write!(f, " ({failure})"))
    }
}

/// Counts one fetch under its outcome: `response`, `refused` (by a rule), `failed` (by the network) or, when its future
/// is dropped, `cancelled`.
pub(super) struct Tally {
    outcome: &'static str,
}

impl Tally {
    pub(super) fn start() -> Self {
        Self { outcome: "cancelled" }
    }

    pub(super) fn finish(mut self, outcome: &'static str) {
        self.outcome = outcome;
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        counter!("runnerctl_fetches_total", "outcome" => self.outcome).increment(1);
    }
}
