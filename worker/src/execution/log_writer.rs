//! Stores console lines during the run.

use crate::lease::{Attempt, Claims, FencedWrite};
use shared::{
    execution::LogLevel,
    outcome::{ExecutionError, LogLine},
};
use std::time::Duration;
use tokio::sync::mpsc;

/// Limits the time, in milliseconds, from the first unstored line to the statement that stores it. A reader of the live log
/// does not notice it.
const FLUSH_INTERVAL: Duration = Duration::from_millis(300);

/// Lines that are stored together with the run's outcome.
#[derive(Debug)]
pub(super) struct UnstoredLines {
    pub(super) unstored: Vec<LogLine>,
    /// Number of the last line, stored or not.
    pub(super) last_seq: i32,
}

/// Stores lines until the run is over, and returns those that are not stored by then. Lines that could not be stored are
/// tried again together with the next ones.
pub(super) async fn forward(
    claims: &Claims,
    attempt: Attempt,
    mut last_seq: i32,
    mut lines: mpsc::Receiver<LogLine>,
) -> UnstoredLines {
    let mut unstored = Vec::new();
    while let Some(first) = lines.recv().await {
        unstored.push(first);
        let collect = async {
            while let Some(line) = lines.recv().await {
                unstored.push(line);
            }
        };
        let over = tokio::time::timeout(FLUSH_INTERVAL, collect).await.is_ok();
        last_seq = unstored.last().map_or(last_seq, |line: &LogLine| line.seq);
        if over {
            break;
        }
        match claims.append_logs(attempt, &unstored).await {
            Ok(FencedWrite::Applied) => unstored.clear(),
            // The end of the run finds out the same, and says so.
            Ok(FencedWrite::LeaseLost) => {}
            Err(error) => {
                tracing::warn!(%error, "console lines could not be stored: they are tried again with the next ones");
            }
        }
    }
    UnstoredLines { unstored, last_seq }
}

/// Returns the line that tells the author of the retry, between the lines of two attempts.
pub(super) fn retry_line(seq: i32, error: &ExecutionError, after: Duration) -> LogLine {
    LogLine {
        seq,
        ts: chrono::Utc::now(),
        level: LogLevel::Warn,
        message: format!("{} ({}); tried again in {} s", error.message, error.code, after.as_secs()),
    }
}
