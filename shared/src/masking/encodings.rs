//! The forms in which a value leaves a program by accident: as it is, in JSON, in an address, in base64.

use super::MIN_CHARACTERS;
use std::{collections::BTreeSet, fmt::Write as _};

/// Adds every form of `value` to `forms`.
pub(super) fn extend_with_forms(forms: &mut BTreeSet<String>, value: &str) {
    extend_with_text(forms, value);
    for stays in URL_CODINGS {
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

/// Adds `value` as it is, as the console shows a text inside an object, and as JSON holds it.
pub(super) fn extend_with_text(forms: &mut BTreeSet<String>, value: &str) {
    forms.insert(value.to_owned());
    for quote in [None, Some('\'')] {
        forms.insert(console_quoted(value, quote));
    }
    let escaped = json_escaped(value);
    // JSON inside JSON is what a logged request body looks like.
    forms.insert(json_escaped(&escaped));
    forms.insert(escaped);
}

/// The text of a string as Node's console writes it between quotes; `quote` is the mark, where that had to be escaped.
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

/// A JSON string's text, without its quotes, as `JSON.stringify` and serde both write it.
fn json_escaped(value: &str) -> String {
    let quoted = serde_json::Value::from(value).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// What each way of writing a value into an address leaves as it is, letters and digits apart.
const URL_CODINGS: [&[u8]; 6] = [
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

/// Adds the base64 digits that `value` alone decides when `offset` bytes stand before it in its group of three,
/// and, where the text ends with the value, the last digit and the padding too.
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

#[cfg(test)]
mod tests {
    use super::*;
    use base64::{Engine, prelude::BASE64_STANDARD as STANDARD};

    #[test]
    fn console_quoting_escapes_what_node_escapes() {
        assert_eq!(console_quoted("a\tb\\c'd\"\u{1b}\u{9f}é", None), "a\\tb\\\\c'd\"\\x1B\\x9Fé");
        assert_eq!(console_quoted("a'b\"`", Some('\'')), "a\\'b\"`");
    }

    #[test]
    fn base64_middles_stand_in_the_real_encoding_at_every_offset() {
        for offset in 0..3 {
            let mut forms = BTreeSet::new();
            extend_with_base64(&mut forms, b"secret-value", offset, BASE64_STANDARD);
            let middle = forms.iter().min_by_key(|form| form.len()).unwrap();
            for neighbour in [0x00, 0x5a, 0xff] {
                let before = vec![neighbour; offset];
                let whole = [&before[..], b"secret-value", &[neighbour; 2]].concat();
                assert!(STANDARD.encode(whole).contains(middle), "{offset} {neighbour}");
            }
        }
    }
}
