//! Masking of secret values in stored and shown data: logs, results, errors.
//!
//! Invariants:
//! - [`Masker::mask`] removes every value as it is, in an encoding of [`encodings`], and in [`base64`]. Data that a
//!   script computes from a secret (a hash, every second letter) cannot be recognised. Masking catches accidents, such
//!   as a logged request.
//! - The cost of masking is bounded for all values and texts: see [`search`].

mod base64;
#[cfg(test)]
mod costs;
mod encodings;
mod excerpts;
mod json;
mod prefix_filter;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod reference;
mod search;
#[cfg(test)]
mod tests;
mod words;

use excerpts::Excerpts;
use search::{Index, TextEnd};
use serde_json::value::RawValue;
use std::{borrow::Cow, fmt, ops::Range, sync::OnceLock};

/// Replacement of a secret.
pub const MASK: &str = "[masked]";
/// Minimum length of a masked value, in characters. Masking every `42` would make logs unreadable and protect nothing.
pub const MIN_CHARACTERS: usize = 4;

/// Minimum length of a single line that is masked without the rest of its multi-line value, in characters.
const MIN_LINE_CHARACTERS: usize = 8;

/// Characters that end the host of a URL, or that come before it.
const HOST_ENDS: [char; 6] = ['/', '\\', '?', '#', ':', '@'];
/// Maximum length of a value that is masked as a host too, in bytes.
const MAX_HOST_BYTES: usize = 1024;

/// Words that are settings and never secrets, even as the value of an environment variable.
const PLAIN_WORDS: [&str; 4] = ["true", "false", "null", "undefined"];

/// Reason why a value is not masked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnmaskedReason {
    /// The value has fewer than [`MIN_CHARACTERS`] characters.
    Short,
    /// The value is `true`, `false`, `null` or `undefined`.
    PlainWord,
}

/// Checks whether a value is masked. The error is the reason why not.
pub fn check(value: &str) -> Result<(), UnmaskedReason> {
    if value.trim().chars().nth(MIN_CHARACTERS - 1).is_none() {
        return Err(UnmaskedReason::Short);
    }
    if PLAIN_WORDS.iter().any(|word| value.trim().eq_ignore_ascii_case(word)) {
        return Err(UnmaskedReason::PlainWord);
    }
    Ok(())
}

/// Replaces secret values with [`MASK`], in all supported encodings.
pub struct Masker {
    values: Vec<Box<str>>,
    /// Values as they are in the host of a URL: in lower case, up to the character that ends a host.
    hosts: Vec<Box<str>>,
    /// Length of the shortest text that may contain a value, in bytes. Shorter texts are not searched.
    shortest: usize,
    /// Built on first use: most runs log nothing and return little.
    index: OnceLock<Index>,
    excerpts: Excerpts,
}

impl Masker {
    /// Makes a masker of `values`. Skips those that [`check`] rejects.
    pub fn new<'a>(values: impl IntoIterator<Item = &'a str>) -> Self {
        let values: Vec<Box<str>> =
            values.into_iter().filter(|value| check(value).is_ok()).map(Box::from).collect();
        let hosts = values.iter().filter_map(|value| as_host(value)).collect();
        let (index, excerpts) = (OnceLock::new(), Excerpts::default());
        let masker = Self { values, hosts, shortest: usize::MAX, index, excerpts };
        let shortest = masker.texts().map(search::min_encoded_bytes).min().unwrap_or(usize::MAX);
        Self { shortest, ..masker }
    }

    /// Masks `text`. Values that overlap or touch are replaced together, so that no part of them is left.
    pub fn mask<'a>(&self, text: &'a str) -> Cow<'a, str> {
        without(text, &self.with_excerpts(text, self.find(text, TextEnd::Complete)))
    }

    /// Like [`Masker::mask`], for a truncated text: also masks the beginning of a secret at its end.
    pub fn mask_truncated<'a>(&self, text: &'a str) -> Cow<'a, str> {
        // Truncation in the middle of a surrogate pair leaves a replacement character.
        let end = text.strip_suffix('\u{FFFD}').unwrap_or(text);
        let mut secrets = self.find(end, TextEnd::Truncated);
        if let Some(last) = secrets.last_mut().filter(|last| last.end == end.len()) {
            last.end = text.len();
        }
        without(text, &self.with_excerpts(text, secrets))
    }

    /// Masks `json`, which stays valid JSON: strings and keys are masked inside, and a number that is a secret becomes
    /// the string [`MASK`].
    #[must_use]
    pub fn mask_json(&self, json: Box<RawValue>) -> Box<RawValue> {
        match json::mask(json.get(), self) {
            Cow::Borrowed(_) => json,
            Cow::Owned(masked) => RawValue::from_string(masked)
                .expect("strings were replaced by strings and numbers by strings"),
        }
    }

    /// Bytes of values that must be indexed before the next search. Zero once the index is built.
    pub fn bytes_to_index(&self) -> usize {
        if self.index.get().is_some() { 0 } else { self.values.iter().map(|value| value.len()).sum() }
    }

    /// Memory of the index, in bytes. Zero before the first text that could contain a value.
    pub fn index_bytes(&self) -> usize {
        self.index.get().map_or(0, Index::bytes)
    }

    /// Returns whether the whole of `text` is one value.
    fn is_value(&self, text: &str) -> bool {
        text.len() >= self.shortest && self.index().is_value(text)
    }

    /// Adds the excerpts of values to the ranges of whole ones.
    fn with_excerpts(&self, text: &str, mut found: Vec<Range<usize>>) -> Vec<Range<usize>> {
        let excerpts = self.excerpts.find(text, &self.values);
        if excerpts.is_empty() {
            return found;
        }
        found.extend(excerpts);
        found.sort_unstable_by_key(|range| range.start);
        let mut merged: Vec<Range<usize>> = Vec::with_capacity(found.len());
        for range in found {
            match merged.last_mut().filter(|last| last.end >= range.start) {
                Some(last) => last.end = last.end.max(range.end),
                None => merged.push(range),
            }
        }
        merged
    }

    fn find(&self, text: &str, end: TextEnd) -> Vec<Range<usize>> {
        let fewest = match end {
            TextEnd::Complete => self.shortest.min(search::MIN_CONSOLE_TRUNCATION_BYTES),
            TextEnd::Truncated => MIN_CHARACTERS.min(self.shortest),
        };
        if text.len() < fewest || self.values.is_empty() {
            return Vec::new();
        }
        self.index().find(text, end)
    }

    fn index(&self) -> &Index {
        self.index.get_or_init(|| Index::new(self.texts(), self.trimmed()))
    }

    /// Iterates over the values, the trimmed values and their lines.
    fn texts(&self) -> impl Iterator<Item = &str> {
        // The console prints a long text line by line and indents each line inside a group.
        let lines = self.values.iter().flat_map(|value| {
            let value = value.trim();
            value.lines().map(str::trim).filter(|line| line.len() < value.len())
        });
        let lines = lines.filter(|line| line.chars().nth(MIN_LINE_CHARACTERS - 1).is_some());
        self.trimmed().chain(lines).chain(self.hosts.iter().map(|host| &**host))
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

/// Returns the value as the host of a URL shows it. `None` if that is the value itself, or too short to be masked
/// alone.
fn as_host(value: &str) -> Option<Box<str>> {
    let value = value.trim();
    let host = value.split(HOST_ENDS).next()?;
    let is_whole = host.len() == value.len();
    if host.len() > MAX_HOST_BYTES || host.len() < MIN_LINE_CHARACTERS && !is_whole {
        return None;
    }
    let lower = host.to_lowercase();
    (lower != host && check(&lower).is_ok()).then(|| lower.into())
}

/// Replaces each of these ranges of `text` with [`MASK`].
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
