//! Search for values in a text: at each offset, all values in all encodings are compared at the same time.
//!
//! Invariant: memory is a small multiple of the values' bytes, and a text takes a bounded number of steps per byte, for
//! all values. If a text needs more, which requires repetitive values and a text that repeats them, the rest of the
//! text counts as secret.

use super::{
    MIN_CHARACTERS,
    base64::{self, Ending},
    encodings::{Decoded, Encodings, is_escape, is_ever_escaped},
    prefix_filter::PrefixFilter,
    words::{Cursor, Words, WordsBuilder},
};
use std::ops::Range;

/// Maximum number of steps per byte of a text. A search takes one or two with 200 values, and four with values of only
/// quotes and backslashes.
const STEPS_PER_BYTE: usize = 12;
/// Additional steps per text, so that a short text, such as a key of a result, is always searched completely.
const STEPS_PER_TEXT: usize = 512;

/// Cost of each offset at which a value may start, in steps.
const STEPS_PER_START: usize = 2;
/// Cost of decoding an escape, in steps.
const STEPS_PER_ESCAPE: usize = 8;

/// Length of the shortest text that the console may have truncated after four characters, in bytes. See
/// [`is_console_truncation`].
pub(super) const MIN_CONSOLE_TRUNCATION_BYTES: usize = "abcd'... 1 more character".len();

/// Length of the shortest spelling of `text`, in bytes.
pub(super) fn min_encoded_bytes(text: &str) -> usize {
    text.len() - 2 * text.matches("%20").count()
}

/// Index of the values to search for.
pub(super) struct Index {
    texts: Words<()>,
    /// Words in base64. Each symbol is a digit.
    digits: Words<Ending>,
    prefixes: PrefixFilter,
}

/// State of a text's end: whether the text may end inside a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TextEnd {
    Complete,
    /// The text was truncated, so it may end inside a value.
    Truncated,
}

impl Index {
    /// Indexes `texts`, plain and in each encoding, and `values` in base64.
    pub(super) fn new<'a>(
        texts: impl Iterator<Item = &'a str>,
        values: impl Iterator<Item = &'a str>,
    ) -> Self {
        let (mut words, mut digits) = (WordsBuilder::new(), WordsBuilder::new());
        texts.for_each(|text| words.add(text.bytes(), ()));
        values.for_each(|value| base64::add(&mut digits, value.as_bytes()));
        let prefixes =
            PrefixFilter::new(words.iter().map(|(word, ())| word), digits.iter().map(|(word, _)| word));
        Self { texts: words.build(), digits: digits.build(), prefixes }
    }

    /// Steps that a search takes, and the maximum number it may take.
    #[cfg(test)]
    pub(super) fn steps(&self, text: &str, end: TextEnd) -> (usize, usize) {
        let mut search = Search::new(self, text, end);
        search.all();
        (search.steps, search.max_steps)
    }

    /// Memory of the index, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.texts.bytes() + self.digits.bytes() + self.prefixes.bytes()
    }

    /// Finds the ranges of values in `text`: ascending, without overlap or contact.
    pub(super) fn find(&self, text: &str, end: TextEnd) -> Vec<Range<usize>> {
        Search::new(self, text, end).all()
    }

    /// Returns whether the whole of `text` is one value.
    pub(super) fn is_value(&self, text: &str) -> bool {
        Search::new(self, text, TextEnd::Complete).at(0) == Some(text.len())
    }
}

/// Way to decode a text from the offset at which a value may start.
#[derive(Clone, Copy)]
struct DecodingPath {
    at: usize,
    /// Cursor in the words, after the symbols that the text shares with them.
    cursor: Cursor,
    encodings: Encodings,
}

/// Search through one text.
struct Search<'a> {
    index: &'a Index,
    text: &'a str,
    end: TextEnd,
    /// Steps taken so far.
    steps: usize,
    max_steps: usize,
    /// Pending paths from the current offset.
    paths: Vec<DecodingPath>,
}

impl<'a> Search<'a> {
    fn new(index: &'a Index, text: &'a str, end: TextEnd) -> Self {
        let max_steps = text.len().saturating_mul(STEPS_PER_BYTE).saturating_add(STEPS_PER_TEXT);
        Self { index, text, end, steps: 0, max_steps, paths: Vec::new() }
    }

    /// Finds the ranges of values and of truncated values: ascending, without overlap or contact.
    fn all(&mut self) -> Vec<Range<usize>> {
        let mut found: Vec<Range<usize>> = Vec::new();
        for start in 0..self.text.len() {
            if !self.index.prefixes.may_start_at(self.bytes(), start) {
                continue;
            }
            let Some(until) = self.at(start) else { continue };
            match found.last_mut().filter(|last| last.end >= start) {
                Some(last) => last.end = last.end.max(until),
                None => found.push(self.text.floor_char_boundary(start)..until),
            }
            if until == self.text.len() {
                break;
            }
        }
        found
    }

    fn bytes(&self) -> &'a [u8] {
        self.text.as_bytes()
    }

    /// Returns whether the search has used up its steps.
    fn is_exhausted(&self) -> bool {
        self.steps > self.max_steps
    }

    /// End of the longest value, or truncated value, that starts at `start`.
    fn at(&mut self, start: usize) -> Option<usize> {
        let text = self.longest_text(start);
        let digits = self.longest_digits(start);
        if self.is_exhausted() { Some(self.text.len()) } else { text.max(digits) }
    }

    fn longest_text(&mut self, start: usize) -> Option<usize> {
        if !self.index.prefixes.text_may_start_at(self.bytes(), start) {
            return None;
        }
        self.spend(STEPS_PER_START);
        let mut longest = None;
        self.paths.clear();
        self.paths.push(DecodingPath { at: start, cursor: Words::<()>::ROOT, encodings: Encodings::ALL });
        while let Some(path) = self.paths.pop() {
            longest = longest.max(self.follow(start, path));
        }
        longest
    }

    /// Follows one path and adds its branches to the pending paths.
    fn follow(&mut self, start: usize, mut path: DecodingPath) -> Option<usize> {
        let (text, words) = (self.bytes(), &self.index.texts);
        let mut longest = None;
        loop {
            let ahead = words.ahead(path.cursor).iter().zip(&text[path.at..]);
            let run = ahead.take_while(|&(symbol, byte)| symbol == byte && !is_special(*byte)).count();
            path = DecodingPath { at: path.at + run, cursor: Words::<()>::skip(path.cursor, run), ..path };
            if !words.marks_ending_at(path.cursor).is_empty() {
                longest = longest.max(Some(path.at));
            }
            let next = text.get(path.at).copied();
            if next.is_none_or(is_special) {
                longest = longest.max(self.truncation_at(start, path.at));
            }
            let Some(byte) = next.filter(|_| self.spend(run / 2)) else { return longest };
            if is_escape(byte) {
                longest = longest.max(self.branch(start, path, byte));
            }
            let Some(encodings) = path.encodings.with(byte) else { return longest };
            let Some(cursor) = self.after(path.cursor, byte) else { return longest };
            path = DecodingPath { at: path.at + 1, cursor, encodings };
        }
    }

    /// Adds a path for each escape that `byte` starts at the end of the path.
    fn branch(&mut self, start: usize, path: DecodingPath, byte: u8) -> Option<usize> {
        let mut longest = None;
        if !self.index.texts.continues_with(path.cursor, is_ever_escaped) {
            return longest;
        }
        for encoding in path.encodings.escaping_with(byte) {
            self.spend(STEPS_PER_ESCAPE);
            for reading in encoding.read(self.bytes(), path.at) {
                match reading {
                    Decoded::Value(spelled, next) => {
                        let mut cursor = Some(path.cursor);
                        for &byte in spelled.as_bytes() {
                            cursor = cursor.and_then(|cursor| self.after(cursor, byte));
                        }
                        let encodings = Encodings::only(encoding);
                        self.paths.extend(cursor.map(|cursor| DecodingPath { at: next, cursor, encodings }));
                    }
                    Decoded::Truncated => longest = longest.max(self.truncation_at(start, self.text.len())),
                    Decoded::Invalid => {}
                }
            }
        }
        longest
    }

    fn longest_digits(&mut self, start: usize) -> Option<usize> {
        if !self.index.prefixes.digits_may_start_at(self.bytes(), start) {
            return None;
        }
        self.spend(STEPS_PER_START);
        let (mut cursor, mut at, mut longest) = (Words::<Ending>::ROOT, start, None);
        loop {
            let ends =
                self.index.digits.marks_ending_at(cursor).iter().map(|ending| ending.after(self.bytes(), at));
            longest = longest.max(ends.max()).max(self.truncation_at(start, at));
            let next = if at == start { at } else { base64::after_break(self.bytes(), at) };
            let steps = self.index.digits.steps(cursor) + (next - at) / 2;
            let Some((digit, next)) = base64::read_digit(self.bytes(), next).filter(|_| self.spend(steps))
            else {
                return longest;
            };
            let Some(after) = self.index.digits.after(cursor, digit) else { return longest };
            (cursor, at) = (after, next);
        }
    }

    fn after(&mut self, cursor: Cursor, symbol: u8) -> Option<Cursor> {
        let words = &self.index.texts;
        self.spend(words.steps(cursor)).then(|| words.after(cursor, symbol)).flatten()
    }

    /// Takes steps. Returns false once the search has used up its steps.
    fn spend(&mut self, steps: usize) -> bool {
        self.steps += steps;
        !self.is_exhausted()
    }

    /// Returns `at` if the text was truncated there and the part since `start` is long enough to be recognised, or
    /// misused.
    fn truncation_at(&self, start: usize, at: usize) -> Option<usize> {
        let rest = &self.bytes()[at..];
        let cut = rest.is_empty() && self.end == TextEnd::Truncated || is_console_truncation(rest);
        (cut && self.text[start..at].chars().nth(MIN_CHARACTERS - 1).is_some()).then_some(at)
    }
}

/// Returns whether `byte` may have more than one continuation in a value.
const fn is_special(byte: u8) -> bool {
    is_escape(byte) || is_quote(byte)
}

const fn is_quote(byte: u8) -> bool {
    matches!(byte, b'\'' | b'"' | b'`')
}

/// Returns whether the console omitted the rest of a long string here: `'text'... 5 more characters`.
fn is_console_truncation(rest: &[u8]) -> bool {
    matches!(rest, [quote, b'.', b'.', b'.', b' ', b'0'..=b'9', ..] if is_quote(*quote))
}
