//! User-supplied JSON, handled as text, so that it is stored and passed to scripts unchanged.
//!
//! The meaning is that of `JSON.parse`: the last of several members with the same name counts, a lone surrogate is a
//! character, and no number is out of range. Nothing here recurses, and all functions take linear time.

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error as _, MapAccess, Visitor},
};
use serde_json::{Error, value::RawValue};
use std::{borrow::Cow, fmt};

/// Returns the nesting depth of arrays and objects. Counts brackets outside of strings and does not validate the JSON.
pub fn nesting(text: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut in_string, mut escaped) = (false, false);
    for byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// Returns whether a value is an object. A raw value has no leading space.
pub fn is_object(value: &RawValue) -> bool {
    value.get().starts_with('{')
}

/// Names and values of an object, as written and in their order. A name may occur twice.
#[derive(Debug)]
pub struct Members<'a>(Vec<(&'a RawValue, &'a RawValue)>);

impl<'a> Members<'a> {
    pub fn of(object: &'a RawValue) -> Result<Self, Error> {
        serde_json::from_str(object.get())
    }

    pub fn get(&self, place: usize) -> Option<(&'a RawValue, &'a RawValue)> {
        self.0.get(place).copied()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&'a RawValue, &'a RawValue)> {
        self.0.iter().copied()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;

        impl<'de> Visitor<'de> for Each {
            type Value = Vec<(&'de RawValue, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(members)
            }
        }

        deserializer.deserialize_map(Each).map(Self)
    }
}

/// Decodes a string to WTF-8: UTF-8, with lone surrogates encoded like other code points.
pub fn characters(string: &RawValue) -> Result<Vec<u8>, Error> {
    struct Bytes;

    impl Visitor<'_> for Bytes {
        type Value = Vec<u8>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a string")
        }

        fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
            Ok(bytes.to_vec())
        }
    }

    serde_json::Deserializer::from_str(string.get()).deserialize_bytes(Bytes)
}

/// Appends the members of another object to an object, whose own text is unchanged. The last of two members with the
/// same name counts.
pub fn extended(object: &RawValue, by: &impl Serialize) -> Result<Box<RawValue>, Error> {
    let by = serde_json::to_string(by)?;
    let (Some(own), Some(added)) = (inside(object.get()), inside(&by)) else {
        return Err(Error::custom("not a JSON object"));
    };
    let separator = if own.trim().is_empty() || added.is_empty() { "" } else { "," };
    RawValue::from_string(format!("{{{own}{separator}{added}}}"))
}

/// Returns the text between the braces of an object.
fn inside(object: &str) -> Option<&str> {
    object.strip_prefix('{')?.strip_suffix('}')
}

/// Replaces each escape of a lone surrogate, such as `\ud83d`, with U+FFFD, because few parsers accept those. Borrowed
/// if there is none.
pub fn without_lone_surrogates(text: &str) -> Cow<'_, str> {
    let mut clean = String::new();
    let (mut copied, mut at) = (0, 0);
    while let Some(found) = text[at..].find('\\') {
        at += found;
        let following = &text[at..];
        at += match unit(following) {
            Some(0xD800..=0xDBFF) if matches!(unit(&following[6..]), Some(0xDC00..=0xDFFF)) => 12,
            Some(0xD800..=0xDFFF) => {
                clean.push_str(&text[copied..at]);
                clean.push('\u{FFFD}');
                copied = at + 6;
                6
            }
            Some(_) => 6,
            // The backslash and the escaped character.
            None => following.char_indices().nth(2).map_or(following.len(), |(index, _)| index),
        };
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    clean.push_str(&text[copied..]);
    Cow::Owned(clean)
}

/// Reads the UTF-16 unit of a text that starts with `\uXXXX`.
fn unit(text: &str) -> Option<u16> {
    u16::from_str_radix(text.strip_prefix("\\u")?.get(..4)?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).unwrap()
    }

    #[test]
    fn brackets_in_strings_are_no_nesting() {
        assert_eq!(nesting(br#"{"a": ["[[[\"[[["]}"#), 2);
        assert_eq!(nesting(b"1"), 0);
    }

    #[test]
    fn members_keep_their_order_their_spelling_and_their_twins() {
        let object = raw(r#"{ "b" : 1e400, "\u0061":[ 1 ], "b":-0, "\ud800": null }"#);
        let members = Members::of(&object).unwrap();
        let texts: Vec<_> = members.iter().map(|(name, value)| (name.get(), value.get())).collect();
        assert_eq!(
            texts,
            [(r#""b""#, "1e400"), (r#""\u0061""#, "[ 1 ]"), (r#""b""#, "-0"), (r#""\ud800""#, "null")]
        );
        assert!(Members::of(&raw("[]")).is_err());
    }

    #[test]
    fn a_string_may_hold_half_of_a_surrogate_pair() {
        let of = |text: &str| characters(&raw(text)).unwrap();
        assert_eq!(of(r#""a\u0000\u00e9é""#), "a\0éé".as_bytes());
        assert_eq!(of(r#""\ud83d\ude00""#), "😀".as_bytes());
        assert_eq!(of(r#""\ud83d""#), b"\xed\xa0\xbd");
        assert_eq!(of(r#""\uD83D""#), of(r#""\ud83d""#));
    }

    #[test]
    fn members_are_appended_after_existing_ones() {
        let with =
            |object: &str| extended(&raw(object), &raw(r#"{"a":1,"b":2}"#)).map(|text| text.to_string());
        assert_eq!(with("{}").unwrap(), r#"{"a":1,"b":2}"#);
        assert_eq!(with("{ \n}").unwrap(), "{ \n\"a\":1,\"b\":2}");
        assert_eq!(with(r#"{"a" : 1e400 }"#).unwrap(), r#"{"a" : 1e400 ,"a":1,"b":2}"#);
        assert!(with("[]").is_err());
        assert_eq!(extended(&raw(r#"{"a":1}"#), &raw("{}")).unwrap().get(), r#"{"a":1}"#);
    }

    #[test]
    fn lone_surrogates_are_replaced_and_pairs_kept() {
        assert_eq!(without_lone_surrogates(r#""\ud800""#), "\"\u{FFFD}\"");
        assert_eq!(without_lone_surrogates(r#""\udc00\ud83d\ude00""#), "\"\u{FFFD}\\ud83d\\ude00\"");
        assert_eq!(without_lone_surrogates(r#""\ud800\ud800\udc00""#), "\"\u{FFFD}\\ud800\\udc00\"");
        assert_eq!(without_lone_surrogates(r#""\\\ud800""#), "\"\\\\\u{FFFD}\"");
    }

    #[test]
    fn other_escapes_are_left_alone() {
        for text in [r#""\\ud800""#, r#"{"a\n":"\u0000é\"[["}"#, r#""\u00e9\ud83d\ude00""#, "\"é\""] {
            assert!(matches!(without_lone_surrogates(text), Cow::Borrowed(_)), "{text}");
        }
    }
}
