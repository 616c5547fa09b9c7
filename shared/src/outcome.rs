//! Outcome of a run. A failing script is an [`Outcome`], never an `Err`.

use crate::execution::{ErrorCode, LogLevel, Status};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::time::Duration;

/// Error of a run, with its position in the author's text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecutionError {
    pub code: ErrorCode,
    /// Sentence about the error, or the message of a thrown `Error`.
    pub message: String,
    /// Stack trace with the author's lines and columns.
    pub stack: Option<String>,
    /// 1-based line in the author's text.
    pub line: Option<u32>,
    /// 1-based column in the author's text.
    pub column: Option<u32>,
}

/// Console line of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// Position among the lines of the execution, 1-based, over all attempts.
    pub seq: i32,
    pub ts: DateTime<Utc>,
    pub level: LogLevel,
    /// Text of the line. Never contains NUL, which PostgreSQL's `text` rejects.
    pub message: String,
}

/// Resources that a run used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// Time for creating the run's globals and evaluating the top level of the functions and the script.
    pub init: Duration,
    /// Time from the call of `main` until its result is serialised.
    pub run: Duration,
    /// Processor time of the sandbox's script thread.
    pub cpu: Duration,
    /// Peak of V8's heap and array buffers together, in bytes.
    pub memory_peak_bytes: u64,
    /// Number of `fetch` calls that were sent.
    pub fetches: u32,
}

/// Converts a duration to milliseconds with three decimals, which is the resolution of the measured phases.
#[must_use]
pub fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

/// Result and resource usage of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub verdict: Verdict,
    pub usage: Usage,
}

/// End of a run: a JSON result or an error.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// JSON text of the value that `main` returned, with `null` for `undefined`.
    Completed(Box<RawValue>),
    Failed(ExecutionError),
}

impl Verdict {
    /// Returns the terminal status of this verdict.
    #[must_use]
    pub const fn status(&self) -> Status {
        match self {
            Self::Completed(_) => Status::Completed,
            Self::Failed(error) => match error.code {
                ErrorCode::Cancelled => Status::Cancelled,
                _ => Status::Errored,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_have_three_decimals() {
        assert_eq!(milliseconds(Duration::from_nanos(1_253_240)).to_string(), "1.253");
        assert_eq!(milliseconds(Duration::from_micros(20_000_001)).to_string(), "20000.001");
        assert_eq!(milliseconds(Duration::ZERO).to_string(), "0");
    }
}
