//! The console lines of one run on their way out: limited, cleaned, masked, numbered. Pure but for the clock.

use chrono::Utc;
use shared::{execution::LogLevel, limits::Limits, masking::Masker, outcome::LogLine};

/// Console lines beyond the limits that a sandbox may send before it counts as flooding: ours sends one.
const MOST_DROPPED: usize = 64;

/// What becomes of one line.
#[derive(Debug, PartialEq)]
pub(super) enum Taken {
    /// Passed on; the second is the note that nothing follows.
    Lines(LogLine, Option<LogLine>),
    Dropped,
    /// Far more than a sandbox of ours would ever send.
    Flood,
}

/// Counts and cleans the lines of one run.
pub(super) struct Logs<'a> {
    masker: &'a Masker,
    limits: &'a Limits,
    next_seq: i32,
    lines: usize,
    bytes: usize,
    dropped: usize,
}

impl<'a> Logs<'a> {
    pub(super) fn new(first_seq: i32, limits: &'a Limits, masker: &'a Masker) -> Self {
        Self { masker, limits, next_seq: first_seq, lines: 0, bytes: 0, dropped: 0 }
    }

    /// Takes the next line a sandbox sent.
    pub(super) fn take(&mut self, level: LogLevel, message: &str) -> Taken {
        if self.dropped > 0 {
            self.dropped += 1;
            return if self.dropped > MOST_DROPPED { Taken::Flood } else { Taken::Dropped };
        }
        let left = self.limits.log_bytes.saturating_sub(self.bytes);
        // The sandbox counts what it sends, and cuts there: a line that masking shortens counts as it came.
        let sent = message.len();
        let masked = if sent <= left { self.masker.mask(message) } else { self.masker.mask_cut(message) };
        let mut message = clean(&masked);
        let bytes = sent.max(message.len());
        if self.lines < self.limits.log_lines && bytes <= left {
            self.lines += 1;
            self.bytes += bytes;
            return Taken::Lines(self.line(level, message), None);
        }
        self.dropped = 1;
        let note = format!(
            "logs truncated: the limit of {} lines or {} bytes is reached",
            self.limits.log_lines, self.limits.log_bytes
        );
        if self.lines >= self.limits.log_lines || left == 0 {
            return Taken::Lines(self.line(LogLevel::Warn, note), None);
        }
        message.truncate(message.floor_char_boundary(left));
        let cut = self.line(level, message);
        Taken::Lines(cut, Some(self.line(LogLevel::Warn, note)))
    }

    /// Takes a line of the supervisor's own, under the same limits.
    pub(super) fn note(&mut self, level: LogLevel, message: &str) -> Taken {
        if self.dropped > 0 { Taken::Dropped } else { self.take(level, message) }
    }

    /// Whether there was any line.
    pub(super) fn any(&self) -> bool {
        self.lines + self.dropped > 0
    }

    fn line(&mut self, level: LogLevel, message: String) -> LogLine {
        let seq = self.next_seq;
        self.next_seq = seq.saturating_add(1);
        LogLine { seq, ts: Utc::now(), level, message }
    }
}

/// PostgreSQL's `text` holds no NUL.
pub(super) fn clean(text: &str) -> String {
    text.replace('\0', "\u{FFFD}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(lines: usize, bytes: usize) -> Limits {
        Limits { log_lines: lines, log_bytes: bytes, ..Limits::default() }
    }

    fn messages(taken: Taken) -> Vec<(i32, String)> {
        match taken {
            Taken::Lines(first, second) => {
                std::iter::once(first).chain(second).map(|line| (line.seq, line.message)).collect()
            }
            Taken::Dropped | Taken::Flood => Vec::new(),
        }
    }

    #[test]
    fn lines_are_numbered_masked_and_free_of_nul() {
        let (masker, limits) = (Masker::new(["hunter2-secret"]), limits(10, 1_000));
        let mut logs = Logs::new(7, &limits, &masker);
        assert_eq!(messages(logs.take(LogLevel::Info, "a\0b")), [(7, "a\u{FFFD}b".to_owned())]);
        assert_eq!(messages(logs.take(LogLevel::Info, "hunter2-secret")), [(8, "[masked]".to_owned())]);
    }

    #[test]
    fn over_the_limit_one_note_is_added_and_the_rest_dropped() {
        let (masker, limits) = (Masker::new([]), limits(1, 1_000));
        let mut logs = Logs::new(1, &limits, &masker);
        assert_eq!(messages(logs.take(LogLevel::Info, "one")).len(), 1);
        let note = messages(logs.take(LogLevel::Info, "two"));
        assert!(note[0].1.starts_with("logs truncated"), "{note:?}");
        assert_eq!(logs.take(LogLevel::Info, "three"), Taken::Dropped);
    }

    #[test]
    fn a_line_that_does_not_fit_is_cut_at_a_character() {
        let (masker, limits) = (Masker::new([]), limits(10, 4));
        let mut logs = Logs::new(1, &limits, &masker);
        let taken = messages(logs.take(LogLevel::Info, "añññ"));
        assert_eq!(taken[0].1, "añ");
        assert_eq!(taken.len(), 2);
    }

    #[test]
    fn lines_that_masking_shortens_still_end_in_the_note() {
        let secret = "s3cr3t-".repeat(243);
        let (masker, limits) = (Masker::new([secret.as_str()]), Limits::default());
        let mut logs = Logs::new(1, &limits, &masker);
        // As the sandbox counts: what it sent, and one byte more than allowed.
        let mut budget = limits.log_bytes + 1;
        let mut shown = Vec::new();
        for _ in 0..200 {
            let sent = &secret[..secret.len().min(budget)];
            if !sent.is_empty() {
                budget -= sent.len();
                shown.extend(
                    messages(logs.take(LogLevel::Info, sent)).into_iter().map(|(_, message)| message),
                );
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
        let mut logs = Logs::new(1, &limits, &masker);
        let sent = "a-long-secret-of-another-kind and then some words hunter2-sec";
        assert_eq!(sent.len(), 61);
        let taken = messages(logs.take(LogLevel::Info, sent));
        assert_eq!(taken[0].1, "[masked] and then some words [masked]");
        assert!(taken[1].1.starts_with("logs truncated"));
    }

    #[test]
    fn a_flood_is_told_from_a_talkative_script() {
        let (masker, limits) = (Masker::new([]), limits(0, 4));
        let mut logs = Logs::new(1, &limits, &masker);
        let flooded = (0..=MOST_DROPPED).any(|_| logs.take(LogLevel::Info, "x") == Taken::Flood);
        assert!(flooded);
    }
}
