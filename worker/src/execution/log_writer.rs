//! Stores console lines while the run goes on.

use crate::lease::{Attempt, Claims, FencedWrite};
use shared::{
    execution::LogLevel,
    outcome::{ExecutionError, LogLine},
};
use std::time::Duration;
use tokio::sync::mpsc;

/// From the first unstored line to its statement: what a person who watches does not notice.
const FLUSH: Duration = Duration::from_millis(300);

/// Lines that go with the run's end.
#[derive(Debug)]
pub(super) struct Rest {
    pub(super) unstored: Vec<LogLine>,
    /// Number of the last line, stored or not.
    pub(super) last_seq: i32,
}

/// Stores lines until the run is over, and returns those that are not stored by then. A line that can't be stored
/// now is tried again with the next.
pub(super) async fn forward(
    claims: &Claims,
    attempt: Attempt,
    mut last_seq: i32,
    mut lines: mpsc::Receiver<LogLine>,
) -> Rest {
    let mut unstored = Vec::new();
    while let Some(first) = lines.recv().await {
        unstored.push(first);
        let collect = async {
            while let Some(line) = lines.recv().await {
                unstored.push(line);
            }
        };
        let over = tokio::time::timeout(FLUSH, collect).await.is_ok();
        last_seq = unstored.last().map_or(last_seq, |line: &LogLine| line.seq);
        if over {
            break;
        }
        match claims.append_logs(attempt, &unstored).await {
            Ok(FencedWrite::Applied) => unstored.clear(),
            // The end of the run finds out the same, and says so.
            Ok(FencedWrite::LeaseLost) => {}
            Err(error) => {
                tracing::warn!(%error, "lines not stored yet");
            }
        }
    }
    Rest { unstored, last_seq }
}

/// What the author reads between two attempts.
pub(super) fn retry_line(seq: i32, error: &ExecutionError, after: Duration) -> LogLine {
    LogLine {
        seq,
        ts: chrono::Utc::now(),
        level: LogLevel::Warn,
        message: format!("{} ({}); tried again in {} s", error.message, error.code, after.as_secs()),
    }
}
