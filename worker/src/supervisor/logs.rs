//! The console lines of one run on their way out, masked: limited, cleaned, numbered. Pure but for the clock.

use chrono::Utc;
use shared::{execution::LogLevel, limits::Limits, outcome::LogLine};

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

    /// Whether there is room for another line; if not, its text does not matter.
    pub(super) fn is_open(&self) -> bool {
        self.dropped == 0
    }

    /// Whether a line of so many bytes is cut. The sandbox counts what it sends, and cuts there.
    pub(super) fn cuts(&self, sent: usize) -> bool {
        sent > self.left()
    }

    fn left(&self) -> usize {
        self.limits.log_bytes.saturating_sub(self.bytes)
    }

    /// Takes the next line a sandbox sent, which has been masked since; it had `sent` bytes before.
    pub(super) fn take(&mut self, level: LogLevel, sent: usize, masked: &str) -> Taken {
        if self.dropped > 0 {
            self.dropped += 1;
            return if self.dropped > MOST_DROPPED { Taken::Flood } else { Taken::Dropped };
        }
        let left = self.left();
        let mut message = clean(masked);
        // A line that masking shortens counts as it came.
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
    use shared::masking::Masker;

    /// Takes a line as a run does.
    fn take(logs: &mut Logs<'_>, masker: &Masker, message: &str) -> Taken {
        let masked = if logs.cuts(message.len()) { masker.mask_cut(message) } else { masker.mask(message) };
        logs.take(LogLevel::Info, message.len(), &masked)
    }

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
        let mut logs = Logs::new(7, &limits);
        assert_eq!(messages(take(&mut logs, &masker, "a\0b")), [(7, "a\u{FFFD}b".to_owned())]);
        assert_eq!(messages(take(&mut logs, &masker, "hunter2-secret")), [(8, "[masked]".to_owned())]);
    }

    #[test]
    fn over_the_limit_one_note_is_added_and_the_rest_dropped() {
        let (masker, limits) = (Masker::new([]), limits(1, 1_000));
        let mut logs = Logs::new(1, &limits);
        assert_eq!(messages(take(&mut logs, &masker, "one")).len(), 1);
        let note = messages(take(&mut logs, &masker, "two"));
        assert!(note[0].1.starts_with("logs truncated"), "{note:?}");
        assert_eq!(take(&mut logs, &masker, "three"), Taken::Dropped);
    }

    #[test]
    fn a_line_that_does_not_fit_is_cut_at_a_character() {
        let (masker, limits) = (Masker::new([]), limits(10, 4));
        let mut logs = Logs::new(1, &limits);
        let taken = messages(take(&mut logs, &masker, "añññ"));
        assert_eq!(taken[0].1, "añ");
        assert_eq!(taken.len(), 2);
    }

    #[test]
    fn lines_that_masking_shortens_still_end_in_the_note() {
        let secret = "s3cr3t-".repeat(243);
        let (masker, limits) = (Masker::new([secret.as_str()]), Limits::default());
        let mut logs = Logs::new(1, &limits);
        // As the sandbox counts: what it sent, and one byte more than allowed.
        let mut budget = limits.log_bytes + 1;
        let mut shown = Vec::new();
        for _ in 0..200 {
            let sent = &secret[..secret.len().min(budget)];
            if !sent.is_empty() {
                budget -= sent.len();
                shown
                    .extend(messages(take(&mut logs, &masker, sent)).into_iter().map(|(_, message)| message));
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
        let taken = messages(take(&mut logs, &masker, sent));
        assert_eq!(taken[0].1, "[masked] and then some words [masked]");
        assert!(taken[1].1.starts_with("logs truncated"));
    }

    #[test]
    fn a_flood_is_told_from_a_talkative_script() {
        let (masker, limits) = (Masker::new([]), limits(0, 4));
        let mut logs = Logs::new(1, &limits);
        let flooded = (0..=MOST_DROPPED).any(|_| take(&mut logs, &masker, "x") == Taken::Flood);
        assert!(flooded);
    }
}
