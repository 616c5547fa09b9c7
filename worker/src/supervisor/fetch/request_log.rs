//! Records of a request: a line in the run's log, and a count for the operator. They never hold headers, bodies or paths.

use super::{Failure, Hop};
use hyper::StatusCode;
use sandbox_protocol::FetchAnswer;
use shared::telemetry::metrics::{FETCH_DURATION, FETCHES};
use std::{
    fmt,
    time::{Duration, Instant},
};

/// Request as the run's log shows it, at debug level: `GET api.example.com 200 35 ms`.
#[derive(Clone, Debug)]
pub struct RequestLine {
    method: String,
    host: String,
    pub(super) status: Option<StatusCode>,
    /// Reason why there is no answer, in the words that the script sees.
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

/// Counts and times one fetch: by class of response, `refused` by a rule, `failed` on the network, or
/// `aborted` when its future is dropped.
pub(super) struct Tally {
    outcome: &'static str,
    start: Instant,
}

impl Tally {
    pub(super) fn start() -> Self {
        Self { outcome: "aborted", start: Instant::now() }
    }

    pub(super) fn finish(mut self, end: Result<&FetchAnswer, &Failure>) {
        self.outcome = match end {
            Ok(FetchAnswer::Response { status: 200..300, .. }) => "2xx",
            Ok(FetchAnswer::Response { status: 300..400, .. }) => "3xx",
            Ok(FetchAnswer::Response { status: 400..500, .. }) => "4xx",
            Ok(FetchAnswer::Response { .. }) => "5xx",
            Err(Failure::Network { .. }) => "failed",
            Ok(FetchAnswer::Refused { .. }) | Err(_) => "refused",
        };
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        FETCHES.with([self.outcome]).increment(1);
        FETCH_DURATION.with::<&str>([]).record(self.start.elapsed());
    }
}
