//! Limits, cleans and numbers the masked console lines of one run. Pure but for the clock.

use chrono::Utc;
use shared::{execution::LogLevel, limits::Limits, outcome::LogLine};

/// Limits the console lines beyond the run's limits that a sandbox process may send before it counts as flooding. A process that
/// works sends one.
const MAX_DROPPED: usize = 64;

/// Result of adding a line.
#[derive(Debug, PartialEq)]
pub(super) enum AddedLine {
    /// The line is passed on. The second one is the note that no more lines follow.
    Lines(LogLine, Option<LogLine>),
    Dropped,
    /// The process has sent far more lines than one that works ever would.
    Flood,
}

/// Counts and cleans the lines of one run.
pub(super) struct Logs<'a> {
    limits: &'a Limits,
    next_seq: i32,
    lines: usize,
    bytes: usize,
    dropped: usize,
}

impl<'a> Logs<'a> {
    pub(super) fn new(first_seq: i32, limits: &'a Limits) -> Self {
        Self { limits, next_seq: first_seq, lines: 0, bytes: 0, dropped: 0 }
    }

    /// Returns true if another line is passed on. Otherwise its text does not matter.
    pub(super) fn is_open(&self) -> bool {
        self.dropped == 0
    }

    /// Returns true if a line of this many bytes is cut. The sandbox process counts the bytes that it sends, and cuts at the same
    /// limit.
    pub(super) fn cuts(&self, sent: usize) -> bool {
        sent > self.bytes_left()
    }

    fn bytes_left(&self) -> usize {
        self.limits.log_bytes.saturating_sub(self.bytes)
    }

    /// Adds the next line that the sandbox process sent. `masked` is its text after masking, `sent` its bytes before.
    pub(super) fn add(&mut self, level: LogLevel, sent: usize, masked: &str) -> AddedLine {
        if self.dropped > 0 {
            self.dropped += 1;
            return if self.dropped > MAX_DROPPED { AddedLine::Flood } else { AddedLine::Dropped };
        }
        let left = self.bytes_left();
        let mut message = clean(masked);
        // A line that masking shortens counts with the bytes that were sent.
        let bytes = sent.max(message.len());
        if self.lines < self.limits.log_lines && bytes <= left {
            self.lines += 1;
            self.bytes += bytes;
            return AddedLine::Lines(self.line(level, message), None);
        }
        self.dropped = 1;
        let note = format!(
            "logs truncated: the limit of {} lines or {} bytes is reached",
            self.limits.log_lines, self.limits.log_bytes
        );
        if self.lines >= self.limits.log_lines || left == 0 {
            return AddedLine::Lines(self.line(LogLevel::Warn, note), None);
        }
        message.truncate(message.floor_char_boundary(left));
        let cut = self.line(level, message);
        AddedLine::Lines(cut, Some(self.line(LogLevel::Warn, note)))
    }

    /// Returns true if the process has sent any line.
    pub(super) fn received_any(&self) -> bool {
        self.lines + self.dropped > 0
    }

    fn line(&mut self, level: LogLevel, message: String) -> LogLine {
        let seq = self.next_seq;
        self.next_seq = seq.saturating_add(1);
        LogLine { seq, ts: Utc::now(), level, message }
    }
}

/// Replaces NUL, which PostgreSQL's `text` can't store.
pub(super) fn clean(text: &str) -> String {
    text.replace('\0', "\u{FFFD}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::masking::Masker;

    /// Adds a line as a run does.
    fn add(logs: &mut Logs<'_>, masker: &Masker, message: &str) -> AddedLine {
        let masked =
            if logs.cuts(message.len()) { masker.mask_truncated(message) } else { masker.mask(message) };
        logs.add(LogLevel::Info, message.len(), &masked)
    }

    fn limits(lines: usize, bytes: usize) -> Limits {
        Limits { log_lines: lines, log_bytes: bytes, ..Limits::default() }
    }

    fn messages(added: AddedLine) -> Vec<(i32, String)> {
        match added {
            AddedLine::Lines(first, second) => {
                std::iter::once(first).chain(second).map(|line| (line.seq, line.message)).collect()
            }
            AddedLine::Dropped | AddedLine::Flood => Vec::new(),
        }
    }

    #[test]
    fn lines_are_numbered_masked_and_free_of_nul() {
        let (masker, limits) = (Masker::new(["hunter2-secret"]), limits(10, 1_000));
        let mut logs = Logs::new(7, &limits);
        assert_eq!(messages(add(&mut logs, &masker, "a\0b")), [(7, "a\u{FFFD}b".to_owned())]);
        assert_eq!(messages(add(&mut logs, &masker, "hunter2-secret")), [(8, "[masked]".to_owned())]);
    }

    #[test]
    fn over_the_limit_one_note_is_added_and_the_rest_dropped() {
        let (masker, limits) = (Masker::new([]), limits(1, 1_000));
        let mut logs = Logs::new(1, &limits);
        assert_eq!(messages(add(&mut logs, &masker, "one")).len(), 1);
        let note = messages(add(&mut logs, &masker, "two"));
        assert!(note[0].1.starts_with("logs truncated"), "{note:?}");
        assert_eq!(add(&mut logs, &masker, "three"), AddedLine::Dropped);
    }

    #[test]
    fn a_line_that_does_not_fit_is_cut_at_a_character() {
        let (masker, limits) = (Masker::new([]), limits(10, 4));
        let mut logs = Logs::new(1, &limits);
        let lines = messages(add(&mut logs, &masker, "añññ"));
        assert_eq!(lines[0].1, "añ");
        assert_eq!(lines.len(), 2);
    }

    #[test]
    fn lines_that_masking_shortens_still_end_in_the_note() {
        let secret = "s3cr3t-".repeat(243);
        let (masker, limits) = (Masker::new([secret.as_str()]), Limits::default());
        let mut logs = Logs::new(1, &limits);
        // The sandbox counts the bytes that it sends, up to one byte more than allowed.
        let mut budget = limits.log_bytes + 1;
        let mut shown = Vec::new();
        for _ in 0..200 {
            let sent = &secret[..secret.len().min(budget)];
            if !sent.is_empty() {
                budget -= sent.len();
                shown.extend(messages(add(&mut logs, &masker, sent)).into_iter().map(|(_, message)| message));
            }
        }
        let note = shown.pop().expect("there are lines");
        assert!(note.starts_with("logs truncated"), "{note}");
        assert!(shown.iter().all(|line| line == "[masked]"), "{:?}", shown.last());
    }

    #[test]
    fn a_secret_across_the_cut_shows_no_beginning() {
        let (masker, limits) =
            (Masker::new(["hunter2-secret", "a-long-secret-of-another-kind"]), limits(10, 60));
        let mut logs = Logs::new(1, &limits);
        let sent = "a-long-secret-of-another-kind and then some words hunter2-sec";
        assert_eq!(sent.len(), 61);
        let lines = messages(add(&mut logs, &masker, sent));
        assert_eq!(lines[0].1, "[masked] and then some words [masked]");
        assert!(lines[1].1.starts_with("logs truncated"));
    }

    #[test]
    fn a_flood_of_lines_is_detected() {
        let (masker, limits) = (Masker::new([]), limits(0, 4));
        let mut logs = Logs::new(1, &limits);
        let flooded = (0..=MAX_DROPPED).any(|_| add(&mut logs, &masker, "x") == AddedLine::Flood);
        assert!(flooded);
    }
}
