//! Keeps secret values out of what is stored or shown: logs, results, errors.
//!
//! Invariants:
//! - No value passes [`Masker::mask`], as it is, in a coding of [`codings`], or in [`base64`]. What a script computes from a
//!   secret (a hash, every second letter) is beyond any masker; this catches accidents, such as a logged request.
//! - What masking costs is bounded, whatever the values and the texts are: see [`search`].

mod base64;
mod beginnings;
mod codings;
#[cfg(test)]
mod costs;
mod json;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod reference;
mod search;
#[cfg(test)]
mod tests;
mod words;

use search::{Index, TextEnd};
use serde_json::value::RawValue;
use std::{borrow::Cow, fmt, ops::Range, sync::OnceLock};

/// What stands where a secret was.
pub const MASK: &str = "[masked]";
/// Shorter values are left alone: masking every `42` would make logs unreadable and guard nothing.
pub const MIN_CHARACTERS: usize = 4;

/// Shorter lines of a value of several lines are left alone when they stand by themselves.
const MIN_LINE_CHARACTERS: usize = 8;

/// Words that are settings, never secrets, even when an environment variable holds one.
const PLAIN_WORDS: [&str; 4] = ["true", "false", "null", "undefined"];

/// Why a value is not masked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unmasked {
    /// It has fewer than [`MIN_CHARACTERS`] characters.
    Short,
    /// It is `true`, `false`, `null` or `undefined`.
    PlainWord,
}

/// Whether a value is masked, and if not, why.
pub fn check(value: &str) -> Result<(), Unmasked> {
    if value.trim().chars().nth(MIN_CHARACTERS - 1).is_none() {
        return Err(Unmasked::Short);
    }
    if PLAIN_WORDS.iter().any(|word| value.trim().eq_ignore_ascii_case(word)) {
        return Err(Unmasked::PlainWord);
    }
    Ok(())
}

/// Replaces secret values by [`MASK`], however they are written.
pub struct Masker {
    values: Vec<Box<str>>,
    /// Bytes of the shortest text that may hold a value: shorter text needs no search.
    shortest: usize,
    /// Made when first needed: most runs log nothing and return little.
    index: OnceLock<Index>,
}

impl Masker {
    /// Masks `values`; those that [`check`] refuses are left alone.
    pub fn new<'a>(values: impl IntoIterator<Item = &'a str>) -> Self {
        let values = values.into_iter().filter(|value| check(value).is_ok()).map(Box::from).collect();
        let masker = Self { values, shortest: usize::MAX, index: OnceLock::new() };
        let shortest = masker.texts().map(search::fewest_bytes).min().unwrap_or(usize::MAX);
        Self { shortest, ..masker }
    }

    /// `text` without secrets. Values that overlap or touch are replaced together, so that nothing of either is left.
    pub fn mask<'a>(&self, text: &'a str) -> Cow<'a, str> {
        without(text, &self.find(text, TextEnd::Whole))
    }

    /// [`Masker::mask`] for a text that was cut at its end: the beginning of a secret is masked there too.
    pub fn mask_cut<'a>(&self, text: &'a str) -> Cow<'a, str> {
        // A cut in the middle of a surrogate pair leaves a replacement character.
        let end = text.strip_suffix('\u{FFFD}').unwrap_or(text);
        let mut secrets = self.find(end, TextEnd::Cut);
        if let Some(last) = secrets.last_mut().filter(|last| last.end == end.len()) {
            last.end = text.len();
        }
        without(text, &secrets)
    }

    /// `json` without secrets, and still JSON: strings and keys are masked inside, and a number that is a secret as
    /// a whole becomes the string [`MASK`].
    #[must_use]
    pub fn mask_json(&self, json: Box<RawValue>) -> Box<RawValue> {
        match json::mask(json.get(), self) {
            Cow::Borrowed(_) => json,
            Cow::Owned(masked) => RawValue::from_string(masked)
                .expect("strings were replaced by strings and numbers by strings"),
        }
    }

    /// Bytes of values that still have to be indexed before the first text is searched.
    pub fn bytes_to_index(&self) -> usize {
        if self.index.get().is_some() { 0 } else { self.values.iter().map(|value| value.len()).sum() }
    }

    /// Bytes of memory that the search takes; none before the first text that could hold a value.
    pub fn index_bytes(&self) -> usize {
        self.index.get().map_or(0, Index::bytes)
    }

    /// Whether all of `text` is one value.
    fn is_value(&self, text: &str) -> bool {
        text.len() >= self.shortest && self.index().is_value(text)
    }

    fn find(&self, text: &str, end: TextEnd) -> Vec<Range<usize>> {
        let fewest = match end {
            TextEnd::Whole => self.shortest.min(search::SHORTEST_CONSOLE_CUT),
            TextEnd::Cut => MIN_CHARACTERS.min(self.shortest),
        };
        if text.len() < fewest || self.values.is_empty() {
            return Vec::new();
        }
        self.index().find(text, end)
    }

    fn index(&self) -> &Index {
        self.index.get_or_init(|| Index::new(self.texts(), self.trimmed()))
    }

    /// Values as they are and without what stands around them, and their lines.
    fn texts(&self) -> impl Iterator<Item = &str> {
        // The console prints a long text line by line, and a group indents each.
        let lines = self.values.iter().flat_map(|value| {
            let value = value.trim();
            value.lines().map(str::trim).filter(|line| line.len() < value.len())
        });
        self.trimmed().chain(lines.filter(|line| line.chars().nth(MIN_LINE_CHARACTERS - 1).is_some()))
    }

    fn trimmed(&self) -> impl Iterator<Item = &str> {
        self.values.iter().flat_map(|value| [&**value, value.trim()])
    }
}

impl fmt::Debug for Masker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Masker({} values)", self.values.len())
    }
}

/// `text` with [`MASK`] in place of each of these ranges.
fn without<'a>(text: &'a str, secrets: &[Range<usize>]) -> Cow<'a, str> {
    if secrets.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut masked = String::with_capacity(text.len());
    let mut copied = 0;
    for secret in secrets {
        masked.push_str(&text[copied..secret.start]);
        masked.push_str(MASK);
        copied = secret.end;
    }
    masked.push_str(&text[copied..]);
    Cow::Owned(masked)
}
