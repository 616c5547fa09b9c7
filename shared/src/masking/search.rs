//! Finds values in a text: at each place, those that begin there, in whichever coding, all at once.
//!
//! Invariant: memory is a small multiple of the values' bytes, and a text takes a bounded number of steps for each of
//! its bytes, whatever the values are. Where a text needs more, which takes values that repeat themselves and a text that
//! repeats them, the rest of it counts as secret.

use super::{
    MIN_CHARACTERS,
    base64::{self, Ending},
    beginnings::Beginnings,
    codings::{Codings, Reading, is_escape, is_ever_escaped},
    words::{Collecting, Place, Words},
};
use std::ops::Range;

/// Steps that a text may take for each of its bytes. With 200 values it takes one or two; four with values of nothing but
/// quotes and backslashes.
const STEPS_PER_BYTE: usize = 12;
/// Steps that a text may take beyond those, so that a short one, such as a key of a result, is always searched through.
const STEPS_PER_TEXT: usize = 512;

/// Steps that beginning in a place where a value may begin counts for.
const STEPS_TO_BEGIN: usize = 2;
/// Steps that reading an escape counts for.
const STEPS_TO_READ: usize = 8;

/// Bytes of the shortest text in which [`is_console_cut`] may hold, with four characters before the cut.
pub(super) const SHORTEST_CONSOLE_CUT: usize = "abcd'... 1 more character".len();

/// Bytes of the shortest spelling of `text`.
pub(super) fn fewest_bytes(text: &str) -> usize {
    text.len() - 2 * text.matches("%20").count()
}

/// What is searched for.
pub(super) struct Index {
    texts: Words<()>,
    /// In base64, symbol by symbol a digit.
    digits: Words<Ending>,
    beginnings: Beginnings,
}

/// What of a text may be a value that does not end there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TextEnd {
    Whole,
    /// The text was longer: it may end in the middle of a value.
    Cut,
}

impl Index {
    /// An index of `texts` as they are and in each coding, and of `values` in base64.
    pub(super) fn new<'a>(
        texts: impl Iterator<Item = &'a str>,
        values: impl Iterator<Item = &'a str>,
    ) -> Self {
        let (mut words, mut digits) = (Collecting::new(), Collecting::new());
        texts.for_each(|text| words.add(text.bytes(), ()));
        values.for_each(|value| base64::add(&mut digits, value.as_bytes()));
        let beginnings =
            Beginnings::new(words.iter().map(|(word, ())| word), digits.iter().map(|(word, _)| word));
        Self { texts: words.into_words(), digits: digits.into_words(), beginnings }
    }

    /// Steps that a search takes, and most it may take.
    #[cfg(test)]
    pub(super) fn steps(&self, text: &str, end: TextEnd) -> (usize, usize) {
        let mut search = Search::new(self, text, end);
        search.all();
        (search.steps, search.most)
    }

    /// Memory, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.texts.bytes() + self.digits.bytes() + self.beginnings.bytes()
    }

    /// Where values stand in `text`: ascending, apart from each other.
    pub(super) fn find(&self, text: &str, end: TextEnd) -> Vec<Range<usize>> {
        Search::new(self, text, end).all()
    }

    /// Whether all of `text` is one value.
    pub(super) fn is_value(&self, text: &str) -> bool {
        Search::new(self, text, TextEnd::Whole).at(0) == Some(text.len())
    }
}

/// A way to read a text from the place where a value may begin.
#[derive(Clone, Copy)]
struct Path {
    at: usize,
    /// In the words: what the text has in common with them so far.
    place: Place,
    codings: Codings,
}

/// The search through one text.
struct Search<'a> {
    index: &'a Index,
    text: &'a str,
    end: TextEnd,
    /// Steps it has taken, and most it may take.
    steps: usize,
    most: usize,
    /// Ways still to be followed from the present place.
    paths: Vec<Path>,
}

impl<'a> Search<'a> {
    fn new(index: &'a Index, text: &'a str, end: TextEnd) -> Self {
        let most = text.len().saturating_mul(STEPS_PER_BYTE).saturating_add(STEPS_PER_TEXT);
        Self { index, text, end, steps: 0, most, paths: Vec::new() }
    }

    /// Where values stand, or what a cut left of them: ascending, apart from each other.
    fn all(&mut self) -> Vec<Range<usize>> {
        let mut found: Vec<Range<usize>> = Vec::new();
        for start in 0..self.text.len() {
            if !self.index.beginnings.may_be_at(self.bytes(), start) {
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

    /// Whether it has taken all of its steps.
    fn is_over(&self) -> bool {
        self.steps > self.most
    }

    /// Where the longest value ends that begins at `start`, or what a cut left of one.
    fn at(&mut self, start: usize) -> Option<usize> {
        let text = self.longest_text(start);
        let digits = self.longest_digits(start);
        if self.is_over() { Some(self.text.len()) } else { text.max(digits) }
    }

    fn longest_text(&mut self, start: usize) -> Option<usize> {
        if !self.index.beginnings.text_may_be_at(self.bytes(), start) {
            return None;
        }
        self.take(STEPS_TO_BEGIN);
        let mut longest = None;
        self.paths.clear();
        self.paths.push(Path { at: start, place: Words::<()>::BEGINNING, codings: Codings::ALL });
        while let Some(path) = self.paths.pop() {
            longest = longest.max(self.follow(start, path));
        }
        longest
    }

    /// Goes one way, and leaves the others for later.
    fn follow(&mut self, start: usize, mut path: Path) -> Option<usize> {
        let (text, words) = (self.bytes(), &self.index.texts);
        let mut longest = None;
        loop {
            let ahead = words.ahead(path.place).iter().zip(&text[path.at..]);
            let run = ahead.take_while(|&(symbol, byte)| symbol == byte && !is_special(*byte)).count();
            path = Path { at: path.at + run, place: Words::<()>::skip(path.place, run), ..path };
            if !words.ended(path.place).is_empty() {
                longest = longest.max(Some(path.at));
            }
            let next = text.get(path.at).copied();
            if next.is_none_or(is_special) {
                longest = longest.max(self.cut_at(start, path.at));
            }
            let Some(byte) = next.filter(|_| self.take(run / 2)) else { return longest };
            if is_escape(byte) {
                longest = longest.max(self.branch(start, path, byte));
            }
            let Some(codings) = path.codings.with(byte) else { return longest };
            let Some(place) = self.after(path.place, byte) else { return longest };
            path = Path { at: path.at + 1, place, codings };
        }
    }

    /// Notes the ways in which `byte`, at the end of the path, begins the spelling of something else.
    fn branch(&mut self, start: usize, path: Path, byte: u8) -> Option<usize> {
        let mut longest = None;
        if !self.index.texts.goes_on(path.place, is_ever_escaped) {
            return longest;
        }
        for coding in path.codings.escaping_with(byte) {
            self.take(STEPS_TO_READ);
            for reading in coding.read(self.bytes(), path.at) {
                match reading {
                    Reading::Is(spelled, next) => {
                        let mut place = Some(path.place);
                        for &byte in spelled.as_bytes() {
                            place = place.and_then(|place| self.after(place, byte));
                        }
                        let codings = Codings::only(coding);
                        self.paths.extend(place.map(|place| Path { at: next, place, codings }));
                    }
                    Reading::CutOff => longest = longest.max(self.cut_at(start, self.text.len())),
                    Reading::Nothing => {}
                }
            }
        }
        longest
    }

    fn longest_digits(&mut self, start: usize) -> Option<usize> {
        if !self.index.beginnings.digits_may_be_at(self.bytes(), start) {
            return None;
        }
        self.take(STEPS_TO_BEGIN);
        let (mut place, mut at, mut longest) = (Words::<Ending>::BEGINNING, start, None);
        loop {
            let ends = self.index.digits.ended(place).iter().map(|ending| ending.after(self.bytes(), at));
            longest = longest.max(ends.max()).max(self.cut_at(start, at));
            let next = if at == start { at } else { base64::after_break(self.bytes(), at) };
            let steps = self.index.digits.steps(place) + (next - at) / 2;
            let Some((digit, next)) = base64::read_digit(self.bytes(), next).filter(|_| self.take(steps))
            else {
                return longest;
            };
            let Some(after) = self.index.digits.after(place, digit) else { return longest };
            (place, at) = (after, next);
        }
    }

    fn after(&mut self, place: Place, symbol: u8) -> Option<Place> {
        let words = &self.index.texts;
        self.take(words.steps(place)).then(|| words.after(place, symbol)).flatten()
    }

    /// Whether so many steps could be taken.
    fn take(&mut self, steps: usize) -> bool {
        self.steps += steps;
        !self.is_over()
    }

    /// `at`, if the text was cut there and what began at `start` is enough to tell, or to use.
    fn cut_at(&self, start: usize, at: usize) -> Option<usize> {
        let rest = &self.bytes()[at..];
        let cut = rest.is_empty() && self.end == TextEnd::Cut || is_console_cut(rest);
        (cut && self.text[start..at].chars().nth(MIN_CHARACTERS - 1).is_some()).then_some(at)
    }
}

/// Whether more than one thing may come of `byte` in a value.
const fn is_special(byte: u8) -> bool {
    is_escape(byte) || is_quote(byte)
}

const fn is_quote(byte: u8) -> bool {
    matches!(byte, b'\'' | b'"' | b'`')
}

/// Whether the console left out the rest of a long string here: `'text'... 5 more characters`.
fn is_console_cut(rest: &[u8]) -> bool {
    matches!(rest, [quote, b'.', b'.', b'.', b' ', b'0'..=b'9', ..] if is_quote(*quote))
}
