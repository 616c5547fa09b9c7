//! A run's console lines, from the child to their reader.

use super::{GRACE, Run};
use crate::supervisor::{logs::Taken, masking::beside};
use sandbox_protocol::FromSandbox;
use shared::{execution::LogLevel, masking::Masker};
use std::time::Duration;
use tokio::time::timeout;

/// How long the reader of console lines may take for the last ones.
const LAST_LINES_TIMEOUT: Duration = Duration::from_secs(5);

impl Run<'_> {
    /// Takes a line that the child sent; false for a flood.
    pub(super) async fn line(&mut self, level: LogLevel, message: String) -> bool {
        let (sent, is_cut) = (message.len(), self.logs.cuts(message.len()));
        let masked = if self.logs.is_open() {
            let mask = move |masker: &Masker| {
                let masked = if is_cut { masker.mask_cut(&message) } else { masker.mask(&message) };
                masked.into_owned()
            };
            beside(&self.masker, sent, mask).await
        } else {
            String::new()
        };
        let taken = self.logs.take(level, sent, &masked);
        self.keep(taken)
    }

    /// Adds a line of the supervisor's own, if there is room.
    pub(super) async fn note(&mut self, message: &str) {
        if self.logs.is_open() {
            self.line(LogLevel::Debug, message.to_owned()).await;
        }
    }

    /// Queues lines; false for a flood.
    fn keep(&mut self, taken: Taken) -> bool {
        if let Taken::Lines(first, second) = taken {
            self.lines.push_back(first);
            self.lines.extend(second);
            return true;
        }
        taken == Taken::Dropped
    }

    /// Hands over the lines that are still here.
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

    /// Console lines that the child had sent before it died.
    pub(super) async fn drain(&mut self) {
        let _ = timeout(GRACE, async {
            while let Ok(message) = self.sandbox.frames.next().await {
                if let FromSandbox::Log { level, message } = message {
                    self.line(level, message).await;
                }
            }
        })
        .await;
        self.flush_lines().await;
    }
}
