//! The text `JSON.stringify` gave, made into what everything downstream can hold. Pure.
//!
//! Downstream is PostgreSQL's `json` and readers with serde's depth limit. The text is walked as JSON, so that
//! a backslash in a value is never taken for an escape.

use shared::json;
use std::borrow::Cow;

/// Deepest nesting of a result: `serde_json` reads 127 levels.
pub(super) const DEEPEST: usize = 127;

/// Why a text is no result.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotJson {
    #[error("the result is nested deeper than {DEEPEST} levels")]
    TooDeep,
    #[error("the result is not JSON")]
    Malformed,
}

/// Replaces escapes of lone surrogates, which many readers refuse, by U+FFFD and checks depth and grammar.
pub(super) fn clean(text: String) -> Result<String, NotJson> {
    if json::nesting(text.as_bytes()) > DEEPEST {
        return Err(NotJson::TooDeep);
    }
    let text = match json::without_lone_surrogates(&text) {
        Cow::Owned(clean) => clean,
        Cow::Borrowed(_) => text,
    };
    // Through `Value`, not a mere scan: numbers out of range are refused too.
    match serde_json::from_str::<serde_json::Value>(&text) {
        Ok(_) => Ok(text),
        Err(_) => Err(NotJson::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cleaned(text: &str) -> Result<String, NotJson> {
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
    fn other_escapes_stay() {
        assert_eq!(cleaned(r#"{"a\n":"\u0000é\"[["}"#).as_deref(), Ok(r#"{"a\n":"\u0000é\"[["}"#));
    }

    #[test]
    fn depth_is_counted_outside_strings() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(cleaned(&nested(DEEPEST)).is_ok());
        assert_eq!(cleaned(&nested(DEEPEST + 1)), Err(NotJson::TooDeep));
        assert!(cleaned(&format!("\"{}\"", "[".repeat(500))).is_ok());
    }

    #[test]
    fn what_is_not_json_is_refused() {
        assert_eq!(cleaned("undefined"), Err(NotJson::Malformed));
        assert_eq!(cleaned("1e999"), Err(NotJson::Malformed));
        assert_eq!(cleaned(""), Err(NotJson::Malformed));
    }
}
