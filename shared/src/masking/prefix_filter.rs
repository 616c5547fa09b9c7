//! Fast filter of the offsets at which no value starts, which are nearly all offsets of a text.

use super::{
    base64,
    encodings::{ESCAPES, is_ever_escaped},
    words::BitSet,
};

/// Sets of the first bytes of values in all spellings.
pub(super) struct PrefixFilter {
    /// First pairs of bytes of the values in all spellings.
    all: BitSet,
    /// First pairs of bytes of the texts.
    texts: BitSet,
    /// First three digits of the words in base64.
    digits: BitSet,
}

impl PrefixFilter {
    /// Makes a filter. A text must have at least two bytes, and a word in base64 at least three digits.
    pub(super) fn new<'a>(
        texts: impl Iterator<Item = &'a [u8]>,
        words: impl Iterator<Item = &'a [u8]>,
    ) -> Self {
        let mut begin_texts = BitSet::with_capacity(1 << 16);
        for text in texts {
            add_text(&mut begin_texts, text[0], text[1]);
        }
        let mut all = begin_texts.clone();
        let mut digits = BitSet::with_capacity(TRIPLE_BUCKETS);
        for word in words {
            digits.add(triple([word[0], word[1], word[2]]));
            add_digits(&mut all, word[0], word[1]);
        }
        Self { all, texts: begin_texts, digits }
    }

    /// Returns whether a value may start at `at`.
    pub(super) fn may_start_at(&self, text: &[u8], at: usize) -> bool {
        at + 1 < text.len() && self.all.has(pair(text[at], text[at + 1]))
    }

    /// Returns whether a text may start at `at`.
    pub(super) fn text_may_start_at(&self, text: &[u8], at: usize) -> bool {
        at + 1 < text.len() && self.texts.has(pair(text[at], text[at + 1]))
    }

    /// Returns whether a value in base64 may start at `at`.
    pub(super) fn digits_may_start_at(&self, text: &[u8], at: usize) -> bool {
        let (mut digits, mut next) = ([0; 3], at);
        for digit in &mut digits {
            match base64::read_digit(text, next) {
                Some((read, after)) => (*digit, next) = (read, after),
                // The first line of the encoded text may end here.
                None => return next > at && base64::after_break(text, next) > next,
            }
        }
        self.digits.has(triple(digits))
    }

    /// Memory of the filter, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.all.bytes() + self.texts.bytes() + self.digits.bytes()
    }
}

fn pair(first: u8, second: u8) -> usize {
    usize::from(first) << 8 | usize::from(second)
}

/// Bucket of a triple of digits. Triples share buckets, because one bucket each would cost more memory than it is
/// worth.
fn triple(digits: [u8; 3]) -> usize {
    digits.into_iter().fold(0, |number, digit| number << 6 | usize::from(digit)) % TRIPLE_BUCKETS
}

const TRIPLE_BUCKETS: usize = 1 << 15;

/// Adds the first pairs of a text, plain and escaped.
fn add_text(pairs: &mut BitSet, first: u8, second: u8) {
    pairs.add(pair(first, second));
    for escape in ESCAPES {
        if is_ever_escaped(second) {
            pairs.add(pair(first, escape));
        }
        // Either all pairs of an escape byte are in the set, or none.
        if is_ever_escaped(first) && !pairs.has(pair(escape, 0)) {
            (0..=u8::MAX).for_each(|second| pairs.add(pair(escape, second)));
        }
    }
}

/// Adds the first pairs of a word in base64.
fn add_digits(pairs: &mut BitSet, first: u8, second: u8) {
    for &first in base64::spellings(first) {
        // A digit with a spelling of several bytes is followed by the rest of that spelling.
        let rest: &[u8] = if ESCAPES.contains(&first) { b"2/" } else { &[] };
        for &second in base64::spellings(second).iter().chain(base64::BREAKS).chain(rest) {
            pairs.add(pair(first, second));
        }
    }
}
