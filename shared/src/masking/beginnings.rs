//! Tells at a glance that no value begins in a place of a text, which is so in nearly all of them.

use super::{
    base64,
    codings::{ESCAPES, is_ever_escaped},
    words::Numbers,
};

/// How values begin, in whichever spelling.
pub(super) struct Beginnings {
    /// Pairs of bytes with which a value in any spelling begins.
    all: Numbers,
    /// Pairs of bytes with which a text begins.
    texts: Numbers,
    /// First three digits of words in base64.
    digits: Numbers,
}

impl Beginnings {
    /// A text has two bytes at least, and a word in base64 three digits.
    pub(super) fn new<'a>(
        texts: impl Iterator<Item = &'a [u8]>,
        words: impl Iterator<Item = &'a [u8]>,
    ) -> Self {
        let mut begin_texts = Numbers::below(1 << 16);
        for text in texts {
            add_text(&mut begin_texts, text[0], text[1]);
        }
        let mut all = begin_texts.clone();
        let mut digits = Numbers::below(TRIPLES);
        for word in words {
            digits.add(triple([word[0], word[1], word[2]]));
            add_digits(&mut all, word[0], word[1]);
        }
        Self { all, texts: begin_texts, digits }
    }

    /// Whether any value may begin at `at`.
    pub(super) fn may_be_at(&self, text: &[u8], at: usize) -> bool {
        at + 1 < text.len() && self.all.has(pair(text[at], text[at + 1]))
    }

    /// Whether a text may begin at `at`.
    pub(super) fn text_may_be_at(&self, text: &[u8], at: usize) -> bool {
        at + 1 < text.len() && self.texts.has(pair(text[at], text[at + 1]))
    }

    /// Whether a value in base64 may begin at `at`.
    pub(super) fn digits_may_be_at(&self, text: &[u8], at: usize) -> bool {
        let (mut digits, mut next) = ([0; 3], at);
        for digit in &mut digits {
            match base64::read_digit(text, next) {
                Some((read, after)) => (*digit, next) = (read, after),
                // The first line may end here.
                None => return next > at && base64::after_break(text, next) > next,
            }
        }
        self.digits.has(triple(digits))
    }

    /// Memory, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.all.bytes() + self.texts.bytes() + self.digits.bytes()
    }
}

fn pair(first: u8, second: u8) -> usize {
    usize::from(first) << 8 | usize::from(second)
}

/// Not every number is one triple's alone: that would take more memory than it saves time.
fn triple(digits: [u8; 3]) -> usize {
    digits.into_iter().fold(0, |number, digit| number << 6 | usize::from(digit)) % TRIPLES
}

const TRIPLES: usize = 1 << 15;

/// Adds the pairs with which a text begins, as it is and escaped.
fn add_text(pairs: &mut Numbers, first: u8, second: u8) {
    pairs.add(pair(first, second));
    for escape in ESCAPES {
        if is_ever_escaped(second) {
            pairs.add(pair(first, escape));
        }
        // All of an escape's pairs are there, or none.
        if is_ever_escaped(first) && !pairs.has(pair(escape, 0)) {
            (0..=u8::MAX).for_each(|second| pairs.add(pair(escape, second)));
        }
    }
}

/// Adds the pairs with which a word in base64 begins.
fn add_digits(pairs: &mut Numbers, first: u8, second: u8) {
    for &first in base64::spellings(first) {
        // A digit that is spelled with several bytes is followed by the rest of them.
        let rest: &[u8] = if ESCAPES.contains(&first) { b"2/" } else { &[] };
        for &second in base64::spellings(second).iter().chain(base64::BREAKS).chain(rest) {
            pairs.add(pair(first, second));
        }
    }
}
