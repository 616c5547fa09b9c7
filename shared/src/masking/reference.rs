//! Reference for the search: the forms in which values leave a program by accident, and a search that tries every value
//! at every offset.

use super::{
    MIN_CHARACTERS, MIN_LINE_CHARACTERS, Masker, base64,
    encodings::{Decoded, Encodings},
    words::WordsBuilder,
};
use std::{collections::BTreeSet, fmt::Write as _, ops::Range};

/// Lists every form that must be masked everywhere. The search finds further forms by decoding.
pub(super) fn forms<'a>(values: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
    let mut forms = BTreeSet::new();
    for value in values.into_iter().filter(|value| super::check(value).is_ok()) {
        extend_with_forms(&mut forms, value);
        let trimmed = value.trim();
        extend_with_forms(&mut forms, trimmed);
        let lines = trimmed.lines().map(str::trim).filter(|line| line.len() < trimmed.len());
        for line in lines.filter(|line| line.chars().nth(MIN_LINE_CHARACTERS - 1).is_some()) {
            extend_with_text(&mut forms, line);
        }
    }
    forms
}

/// Finds all occurrences of `forms`, and the longest prefix of a form at the end of a truncated text.
pub(super) fn places(forms: &BTreeSet<String>, text: &str, is_cut: bool) -> Vec<Range<usize>> {
    let starts = (0..text.len()).filter(|&start| text.is_char_boundary(start));
    let whole = starts.clone().flat_map(|start| {
        forms
            .iter()
            .filter(move |form| text[start..].starts_with(*form))
            .map(move |form| start..start + form.len())
    });
    let beginning =
        starts.filter(|&start| is_cut && forms.iter().any(|form| form.starts_with(&text[start..])));
    let beginning = beginning.take(1).filter(|&start| text[start..].chars().count() >= MIN_CHARACTERS);
    whole.chain(beginning.map(|start| start..text.len())).collect()
}

/// Finds the values in `text`, slowly.
pub(super) fn find(masker: &Masker, text: &str) -> Vec<Range<usize>> {
    let mut digits = WordsBuilder::new();
    masker.trimmed().for_each(|value| base64::add(&mut digits, value.as_bytes()));
    let mut found: Vec<Range<usize>> = Vec::new();
    for start in 0..text.len() {
        let texts = masker
            .texts()
            .filter_map(|value| end_of(value.as_bytes(), text.as_bytes(), start, Encodings::ALL));
        let digits = digits.iter().filter_map(|(word, ending)| {
            end_of_digits(word, text.as_bytes(), start).map(|end| ending.after(text.as_bytes(), end))
        });
        let Some(end) = texts.chain(digits).max() else { continue };
        match found.last_mut().filter(|last| last.end >= start) {
            Some(last) => last.end = last.end.max(end),
            None => found.push(start..end),
        }
    }
    found
}

/// Offset at which `value` ends if it starts at `at` in one of `encodings`.
fn end_of(value: &[u8], text: &[u8], at: usize, encodings: Encodings) -> Option<usize> {
    let Some((first, rest)) = value.split_first() else { return Some(at) };
    let byte = *text.get(at)?;
    let itself = encodings
        .with(byte)
        .filter(|_| byte == *first)
        .and_then(|encodings| end_of(rest, text, at + 1, encodings));
    let escaped = encodings.escaping_with(byte).flat_map(|encoding| {
        encoding.read(text, at).into_iter().filter_map(move |reading| {
            let Decoded::Value(spelled, next) = reading else { return None };
            end_of(value.strip_prefix(spelled.as_bytes())?, text, next, Encodings::only(encoding))
        })
    });
    itself.max(escaped.max())
}

fn end_of_digits(word: &[u8], text: &[u8], mut at: usize) -> Option<usize> {
    for (index, digit) in word.iter().enumerate() {
        let place = if index == 0 { at } else { base64::after_break(text, at) };
        at = base64::read_digit(text, place).filter(|(read, _)| read == digit)?.1;
    }
    Some(at)
}

/// Adds all forms of `value` to `forms`.
fn extend_with_forms(forms: &mut BTreeSet<String>, value: &str) {
    extend_with_text(forms, value);
    for stays in URL_ENCODINGS {
        for hex in [b"0123456789ABCDEF", b"0123456789abcdef"] {
            let encoded = percent_encoded(value, stays, hex);
            forms.insert(encoded.replace("%20", "+"));
            forms.insert(encoded);
        }
    }
    for alphabet in [BASE64_STANDARD, BASE64_URL_SAFE] {
        for offset in 0..3 {
            extend_with_base64(forms, value.as_bytes(), offset, alphabet);
        }
    }
}

/// Adds `value` as it is, as the console shows a text inside an object, and as JSON encodes it.
fn extend_with_text(forms: &mut BTreeSet<String>, value: &str) {
    forms.insert(value.to_owned());
    for quote in [None, Some('\'')] {
        forms.insert(console_quoted(value, quote));
    }
    let escaped = json_escaped(value);
    // JSON inside JSON, as in a logged request body.
    forms.insert(json_escaped(&escaped));
    forms.insert(escaped);
}

/// Text of a string as Node's console writes it between quotes. `quote` is the quote that must be escaped, if any.
fn console_quoted(value: &str, quote: Option<char>) -> String {
    let mut quoted = String::with_capacity(value.len());
    for character in value.chars() {
        match character {
            '\u{8}' => quoted.push_str("\\b"),
            '\t' => quoted.push_str("\\t"),
            '\n' => quoted.push_str("\\n"),
            '\u{c}' => quoted.push_str("\\f"),
            '\r' => quoted.push_str("\\r"),
            '\\' => quoted.push_str("\\\\"),
            control if control.is_control() => {
                write!(quoted, "\\x{:02X}", u32::from(control)).expect("a String takes any text");
            }
            mark if Some(mark) == quote => quoted.extend(['\\', mark]),
            plain => quoted.push(plain),
        }
    }
    quoted
}

/// Text of a JSON string without its quotes, as both `JSON.stringify` and serde write it.
fn json_escaped(value: &str) -> String {
    let quoted = serde_json::Value::from(value).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// Characters that each URL encoder leaves unescaped, besides letters and digits.
const URL_ENCODINGS: [&[u8]; 6] = [
    // encodeURIComponent
    b"-_.!~*'()",
    // URLSearchParams and HTML forms
    b"-_.*",
    // RFC 3986
    b"-_.~",
    // encodeURI
    b"-_.!~*'();,/?:@&=+$#",
    // The URL standard's path
    b"-_.!~*'();,/:@&=+$[]|%\\",
    // The URL standard's query
    b"-_.!~*();,/:@&=+$[]{}|%?^`\\",
];

fn percent_encoded(value: &str, stays: &[u8], hex: &[u8; 16]) -> String {
    let mut encoded = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || stays.contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            encoded.push(char::from(hex[usize::from(byte >> 4)]));
            encoded.push(char::from(hex[usize::from(byte & 15)]));
        }
    }
    encoded
}

const BASE64_STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const BASE64_URL_SAFE: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Adds the base64 digits that are determined by `value` alone at `offset` bytes in its group of three. Also adds the
/// form with the last digit and the padding, for texts that end with the value.
fn extend_with_base64(forms: &mut BTreeSet<String>, value: &[u8], offset: usize, alphabet: &[u8; 64]) {
    let first_digit = (offset * 8).div_ceil(6);
    let end_bit = (offset + value.len()) * 8;
    let digit = |index: usize| {
        let bit = |at: usize| match at.checked_sub(offset * 8) {
            Some(at) if at / 8 < value.len() => value[at / 8] >> (7 - at % 8) & 1,
            _ => 0,
        };
        let digit = (index * 6..index * 6 + 6).fold(0, |digit, at| digit << 1 | bit(at));
        char::from(alphabet[usize::from(digit)])
    };
    let middle: String = (first_digit..end_bit / 6).map(digit).collect();
    if middle.len() < MIN_CHARACTERS {
        return;
    }
    if !end_bit.is_multiple_of(6) {
        let ended = format!("{middle}{}", digit(end_bit / 6));
        let padding = if end_bit % 6 == 2 { "==" } else { "=" };
        forms.insert(format!("{ended}{padding}"));
        forms.insert(ended);
    }
    forms.insert(middle);
}
