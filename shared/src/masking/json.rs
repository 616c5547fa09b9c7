//! Masking of JSON token by token, so that it stays valid JSON.

use super::{MASK, Masker};
use std::borrow::Cow;

/// Masks `json`. Does not recurse, because the script chooses the nesting depth.
pub(super) fn mask<'a>(json: &'a str, masker: &Masker) -> Cow<'a, str> {
    let (mut masked, mut copied, mut at) = (String::new(), 0, 0);
    while let Some(&first) = json.as_bytes().get(at) {
        let rest = &json[at..];
        let length = match first {
            b'"' => string_length(rest),
            b'-' | b'0'..=b'9' => rest.find([',', ']', '}', ' ', '\n', '\r', '\t']).unwrap_or(rest.len()),
            // Punctuation and words are ASCII.
            _ => 1,
        };
        let token = &rest[..length];
        if let Some(replacement) = mask_token(token, masker) {
            masked.push_str(&json[copied..at]);
            masked.push_str(&replacement);
            copied = at + length;
        }
        at += length;
    }
    if copied == 0 {
        return Cow::Borrowed(json);
    }
    masked.push_str(&json[copied..]);
    Cow::Owned(masked)
}

/// Returns the replacement of a token that is or contains a secret: strings and keys are masked inside, and a number
/// that is a secret becomes the string [`MASK`].
fn mask_token(token: &str, masker: &Masker) -> Option<String> {
    match token.as_bytes()[0] {
        b'"' if token.contains('\\') => {
            let text: String = serde_json::from_str(token).ok()?;
            changed(masker.mask(&text))
        }
        b'"' => changed(masker.mask(&token[1..token.len() - 1])),
        b'-' | b'0'..=b'9' => {
            let is_secret =
                [token, token.trim_start_matches('-')].into_iter().any(|number| masker.is_value(number));
            is_secret.then(|| quoted(MASK))
        }
        _ => None,
    }
}

fn changed(masked: Cow<'_, str>) -> Option<String> {
    match masked {
        Cow::Borrowed(_) => None,
        Cow::Owned(masked) => Some(quoted(&masked)),
    }
}

pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Length of the JSON string at the start of `text`, in bytes, with both quotes.
fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}
