//! Validation of results: converts the text of `JSON.stringify` to JSON that all later consumers accept. Pure.
//!
//! Consumers are PostgreSQL's `json` and parsers with serde's depth limit. The text is parsed as JSON, so that an
//! escaped backslash is never mistaken for the start of an escape.

use shared::json;
use std::borrow::Cow;

/// Maximum nesting of a result, in levels, as accepted by `serde_json`.
pub(super) const MAX_NESTING: usize = 127;

/// Reason why a text is not a valid result.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum InvalidResult {
    #[error("the result is nested deeper than {MAX_NESTING} levels")]
    TooDeep,
    #[error("the result is not JSON")]
    Malformed,
}

/// Replaces escapes of lone surrogates, which many parsers reject, with U+FFFD. Checks depth and grammar.
pub(super) fn clean(text: String) -> Result<String, InvalidResult> {
    if json::nesting(text.as_bytes()) > MAX_NESTING {
        return Err(InvalidResult::TooDeep);
    }
    let text = match json::without_lone_surrogates(&text) {
        Cow::Owned(clean) => clean,
        Cow::Borrowed(_) => text,
    };
    // Parsed to a `Value` instead of only scanned, so that numbers out of range are rejected, too.
    match serde_json::from_str::<serde_json::Value>(&text) {
        Ok(_) => Ok(text),
        Err(_) => Err(InvalidResult::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cleaned(text: &str) -> Result<String, InvalidResult> {
        clean(text.to_owned())
    }

    #[test]
    fn lone_surrogates_are_replaced_and_pairs_kept() {
        assert_eq!(cleaned(r#""\ud800""#).as_deref(), Ok("\"\u{FFFD}\""));
        assert_eq!(cleaned(r#""\udc00\ud83d\ude00""#).as_deref(), Ok("\"\u{FFFD}\\ud83d\\ude00\""));
        assert_eq!(cleaned(r#""\ud800\ud800\udc00""#).as_deref(), Ok("\"\u{FFFD}\\ud800\\udc00\""));
    }

    #[test]
    fn an_escaped_backslash_begins_no_escape() {
        assert_eq!(cleaned(r#""\\ud800""#).as_deref(), Ok(r#""\\ud800""#));
        assert_eq!(cleaned(r#""\\\ud800""#).as_deref(), Ok("\"\\\\\u{FFFD}\""));
    }

    #[test]
    fn escapes_other_than_surrogates_are_kept() {
        assert_eq!(cleaned(r#"{"a\n":"\u0000é\"[["}"#).as_deref(), Ok(r#"{"a\n":"\u0000é\"[["}"#));
    }

    #[test]
    fn depth_is_counted_outside_strings() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(cleaned(&nested(MAX_NESTING)).is_ok());
        assert_eq!(cleaned(&nested(MAX_NESTING + 1)), Err(InvalidResult::TooDeep));
        assert!(cleaned(&format!("\"{}\"", "[".repeat(500))).is_ok());
    }

    #[test]
    fn malformed_json_is_refused() {
        assert_eq!(cleaned("undefined"), Err(InvalidResult::Malformed));
        assert_eq!(cleaned("1e999"), Err(InvalidResult::Malformed));
        assert_eq!(cleaned(""), Err(InvalidResult::Malformed));
    }
}
