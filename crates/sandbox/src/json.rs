//! The text `JSON.stringify` gave, made into what everything downstream can hold. Pure.
//!
//! Downstream is PostgreSQL's `json` and readers with serde's depth limit. The text is walked as JSON, so that
//! a backslash in a value is never taken for an escape.

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
    if deepest(&text) > DEEPEST {
        return Err(NotJson::TooDeep);
    }
    let text = replace_lone_surrogates(text);
    // Through `Value`, not a mere scan: numbers out of range are refused too.
    match serde_json::from_str::<serde_json::Value>(&text) {
        Ok(_) => Ok(text),
        Err(_) => Err(NotJson::Malformed),
    }
}

fn deepest(text: &str) -> usize {
    let (mut depth, mut deepest, mut in_string) = (0_usize, 0, false);
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' if in_string => {
                bytes.next();
            }
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

fn replace_lone_surrogates(text: String) -> String {
    if !text.contains("\\u") {
        return text;
    }
    let mut clean = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(at) = rest.find('\\') {
        clean.push_str(&rest[..at]);
        rest = &rest[at..];
        let length = match surrogate(rest) {
            Some(0xD800..=0xDBFF) if matches!(surrogate(&rest[6..]), Some(0xDC00..=0xDFFF)) => {
                clean.push_str(&rest[..12]);
                12
            }
            Some(0xD800..=0xDFFF) => {
                clean.push('\u{FFFD}');
                6
            }
            Some(_) => {
                clean.push_str(&rest[..6]);
                6
            }
            None => {
                let length = rest.char_indices().nth(2).map_or(rest.len(), |(index, _)| index);
                clean.push_str(&rest[..length]);
                length
            }
        };
        rest = &rest[length..];
    }
    clean.push_str(rest);
    clean
}

/// The unit that a text beginning with `\uXXXX` names.
fn surrogate(text: &str) -> Option<u16> {
    u16::from_str_radix(text.strip_prefix("\\u")?.get(..4)?, 16).ok()
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
