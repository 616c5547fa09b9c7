//! What a run ended with. A failing script is an [`Outcome`], never an `Err`.

use crate::execution::{ErrorCode, LogLevel, Status};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::time::Duration;

/// Why a run did not complete, in the author's own coordinates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecutionError {
    pub code: ErrorCode,
    /// One readable sentence; for a thrown `Error`, its message.
    pub message: String,
    /// Stack trace with the author's lines and columns.
    pub stack: Option<String>,
    /// 1-based line in the author's text.
    pub line: Option<u32>,
    /// 1-based column in the author's text.
    pub column: Option<u32>,
}

/// One console line of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// 1-based position among the lines of the execution, over all attempts.
    pub seq: i32,
    pub ts: DateTime<Utc>,
    pub level: LogLevel,
    /// Never holds NUL, which PostgreSQL's `text` refuses.
    pub message: String,
}

/// What a run used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// Making the run's globals and evaluating the functions' and the script's top level.
    pub init: Duration,
    /// From the call of `main` until its result is bytes.
    pub run: Duration,
    /// Processor time of the sandbox's script thread.
    pub cpu: Duration,
    /// Largest heap and array buffer total seen, in bytes.
    pub memory_peak_bytes: u64,
    /// Number of `fetch` calls carried out.
    pub fetches: u32,
}

/// Milliseconds as phases are told: with three decimals, which is as fine as they are measured.
#[must_use]
pub fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

/// How a run ended.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub verdict: Verdict,
    pub usage: Usage,
}

/// The end of a run: a JSON result, or the reason there is none.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// The JSON text of what `main` returned; `undefined` is `null`.
    Completed(Box<RawValue>),
    Failed(ExecutionError),
}

impl Verdict {
    /// The terminal status this verdict is recorded as.
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
