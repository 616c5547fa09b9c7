//! Console lines of a run, from the sandbox process to their reader.

use super::{GRACE, Run};
use crate::supervisor::{logs::AddedLine, masking::beside};
use sandbox_protocol::FromSandbox;
use shared::{execution::LogLevel, masking::Masker};
use std::time::Duration;
use tokio::time::timeout;

/// Limits, in seconds, how long the reader of console lines may take for the last ones.
const LAST_LINES_TIMEOUT: Duration = Duration::from_secs(5);

impl Run<'_> {
    /// Masks and queues a line that the process sent. Returns false for a flood.
    pub(super) async fn line(&mut self, level: LogLevel, message: String) -> bool {
        let (sent, is_cut) = (message.len(), self.logs.cuts(message.len()));
        let masked = if self.logs.is_open() {
            let mask = move |masker: &Masker| {
                let masked = if is_cut { masker.mask_truncated(&message) } else { masker.mask(&message) };
                masked.into_owned()
            };
            beside(&self.masker, sent, mask).await
        } else {
            String::new()
        };
        let added = self.logs.add(level, sent, &masked);
        self.queue_line(added)
    }

    /// Adds a line of the supervisor, if the run's limits allow it.
    pub(super) async fn note(&mut self, message: &str) {
        if self.logs.is_open() {
            self.line(LogLevel::Debug, message.to_owned()).await;
        }
    }

    /// Queues a line for the reader. Returns false for a flood.
    fn queue_line(&mut self, added: AddedLine) -> bool {
        if let AddedLine::Lines(first, second) = added {
            self.lines.push_back(first);
            self.lines.extend(second);
            return true;
        }
        added == AddedLine::Dropped
    }

    /// Sends the queued lines to the reader.
    pub(super) async fn flush_lines(&mut self) {
        let lines = std::mem::take(&mut self.lines);
        let logs = &self.context.logs;
        let _ = timeout(LAST_LINES_TIMEOUT, async {
            for line in lines {
                if logs.send(line).await.is_err() {
                    return;
                }
            }
        })
        .await;
    }

    /// Queues the lines that the process had sent before it died, and sends all lines to the reader.
    pub(super) async fn drain_lines(&mut self) {
        let max_frame_bytes = self.max_frame_bytes();
        let _ = timeout(GRACE, async {
            while let Ok(received) = self.sandbox.frames.next(max_frame_bytes).await {
                if let FromSandbox::Log { level, message } = received.message {
                    self.line(level, message).await;
                }
            }
        })
        .await;
        self.flush_lines().await;
    }
}
