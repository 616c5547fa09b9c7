//! The canonical text of a JSON text: the same for all texts that mean the same. Pure.
//!
//! Space, the order of members and the spelling of strings do not matter, nor does the spelling of a number that a
//! double holds. Of members with one name the last counts. A value that `serde_json` reads without loss is written as
//! `serde_json` writes it.

use serde_json::{Number, value::RawValue};
use shared::json;
use std::{borrow::Cow, collections::BTreeMap, fmt};

/// Limits the significant digits of decimals that a double tells apart.
const DOUBLE_DIGITS: usize = 17;

/// Returns the canonical text of a value. Recurses as deep as the value is nested, which the limits bound.
pub(super) fn of(value: &RawValue) -> Vec<u8> {
    let mut text = Vec::with_capacity(value.get().len());
    match (Reader { rest: value.get() }).value() {
        Some(node) => node.write(&mut text),
        // Unreachable: a raw value is JSON.
        None => text.extend_from_slice(value.get().as_bytes()),
    }
    text
}

/// A value whose leaves are canonical texts.
enum Node<'a> {
    Leaf(Cow<'a, [u8]>),
    List(Vec<Node<'a>>),
    Object(BTreeMap<Cow<'a, [u8]>, Node<'a>>),
}

impl Node<'_> {
    fn write(&self, text: &mut Vec<u8>) {
        match self {
            Self::Leaf(leaf) => text.extend_from_slice(leaf),
            Self::List(values) => {
                text.push(b'[');
                for (at, value) in values.iter().enumerate() {
                    if at > 0 {
                        text.push(b',');
                    }
                    value.write(text);
                }
                text.push(b']');
            }
            Self::Object(members) => {
                text.push(b'{');
                for (at, (name, value)) in members.iter().enumerate() {
                    if at > 0 {
                        text.push(b',');
                    }
                    text.extend_from_slice(&quoted(name));
                    text.push(b':');
                    value.write(text);
                }
                text.push(b'}');
            }
        }
    }
}

/// Reads text that is known to be JSON, each byte once.
struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn value(&mut self) -> Option<Node<'a>> {
        match self.peek()? {
            b'{' => self.object(),
            b'[' => self.list(),
            b'"' => self.string().map(|characters| Node::Leaf(quoted(&characters).into())),
            _ => {
                let end = self.rest.find([',', ']', '}', ' ', '\n', '\r', '\t']).unwrap_or(self.rest.len());
                let token = self.take(end)?;
                let is_number = token.starts_with(|first: char| first == '-' || first.is_ascii_digit());
                Some(Node::Leaf(if is_number { number(token) } else { token.as_bytes().into() }))
            }
        }
    }

    fn object(&mut self) -> Option<Node<'a>> {
        let mut members = BTreeMap::new();
        self.take(1)?;
        while self.peek()? != b'}' {
            let name = self.string()?;
            self.expect(b':')?;
            members.insert(name, self.value()?);
            self.skip_comma()?;
        }
        self.take(1)?;
        Some(Node::Object(members))
    }

    fn list(&mut self) -> Option<Node<'a>> {
        let mut values = Vec::new();
        self.take(1)?;
        while self.peek()? != b']' {
            values.push(self.value()?);
            self.skip_comma()?;
        }
        self.take(1)?;
        Some(Node::List(values))
    }

    /// Returns the characters of the next string.
    fn string(&mut self) -> Option<Cow<'a, [u8]>> {
        let mut escaped = false;
        let is_end = |byte: u8| {
            let ends = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            ends
        };
        let length = self.rest.bytes().skip(1).position(is_end)? + 2;
        let string = self.take(length)?;
        if string.contains('\\') {
            return json::characters(serde_json::from_str(string).ok()?).map(Cow::Owned).ok();
        }
        Some(string.as_bytes()[1..length - 1].into())
    }

    fn skip_comma(&mut self) -> Option<()> {
        if self.peek()? == b',' { self.expect(b',') } else { Some(()) }
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.take(1)).flatten().map(drop)
    }

    /// Returns the next byte that is not a space.
    fn peek(&mut self) -> Option<u8> {
        self.rest = self.rest.trim_start_matches([' ', '\n', '\r', '\t']);
        self.rest.bytes().next()
    }

    fn take(&mut self, bytes: usize) -> Option<&'a str> {
        let (taken, rest) = self.rest.split_at_checked(bytes)?;
        self.rest = rest;
        Some(taken)
    }
}

/// Returns a string as `serde_json` writes it. A string that is not Unicode, for half of a surrogate pair, gets a text
/// that no other string has.
fn quoted(characters: &[u8]) -> Vec<u8> {
    let mut quoted = Vec::with_capacity(characters.len() + 2);
    if let Ok(text) = std::str::from_utf8(characters)
        && serde_json::to_writer(&mut quoted, text).is_ok()
    {
        return quoted;
    }
    quoted.push(b'"');
    for &byte in characters {
        if matches!(byte, b'"' | b'\\') {
            quoted.push(b'\\');
        }
        quoted.push(byte);
    }
    quoted.push(b'"');
    quoted
}

/// Returns a number as `serde_json` writes it, or its exact value if no integer or double tells it from its neighbours.
fn number(token: &str) -> Cow<'_, [u8]> {
    let is_plain =
        token.len() <= i64::MAX.ilog10() as usize && token.bytes().all(|byte| byte.is_ascii_digit());
    if is_plain {
        return token.as_bytes().into();
    }
    // An exponent of twenty digits is compared as it is written.
    let Some(exact) = Decimal::of(token) else { return token.as_bytes().into() };
    let text = match serde_json::from_str::<Number>(token) {
        Ok(number) if number.is_i64() || number.is_u64() || exact.fits(&number) => number.to_string(),
        _ => exact.to_string(),
    };
    text.into_bytes().into()
}

/// A decimal number: digits without zeros at either end, and the power of ten that the last one stands for.
struct Decimal {
    is_negative: bool,
    digits: String,
    exponent: i128,
}

impl Decimal {
    fn of(token: &str) -> Option<Self> {
        let (mantissa, exponent) = token.split_once(['e', 'E']).unwrap_or((token, "0"));
        let exponent: i64 = exponent.parse().ok()?;
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let (is_negative, whole) = whole.strip_prefix('-').map_or((false, whole), |whole| (true, whole));
        let digits = [whole, fraction].concat();
        let significant = digits.trim_start_matches('0');
        let trimmed = significant.trim_end_matches('0');
        let length = |text: &str| i128::try_from(text.len()).ok();
        let zeros = length(significant)? - length(trimmed)?;
        Some(Self {
            is_negative,
            digits: trimmed.to_owned(),
            exponent: i128::from(exponent) - length(fraction)? + zeros,
        })
    }

    /// Tells whether `double`, which was read from it, stands for no other decimal that a program would write.
    fn fits(&self, double: &Number) -> bool {
        self.digits.len() <= DOUBLE_DIGITS && (self.digits.is_empty() || double.as_f64() != Some(0.0))
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.is_negative { "-" } else { "" };
        write!(f, "{sign}{}e{}", self.digits, self.exponent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn canonical(text: &str) -> String {
        let value = RawValue::from_string(text.to_owned()).unwrap();
        String::from_utf8_lossy(&of(&value)).into_owned()
    }

    #[test]
    fn spelling_and_duplicates_do_not_change_the_canonical_form() {
        assert_eq!(
            canonical(" { \"b\" : [ 1 , true ] , \"\\u0061\" : \"\\/\\u00e9\" } "),
            r#"{"a":"/é","b":[1,true]}"#
        );
        assert_eq!(canonical(r#"{"a":1,"__proto__":{},"a":[]}"#), r#"{"__proto__":{},"a":[]}"#);
        assert_eq!(canonical(r#"["]","\\\"",{}]"#), r#"["]","\\\"",{}]"#);
    }

    #[test]
    fn equal_numbers_have_one_canonical_form() {
        let one = ["100.0", "1e2", "1E+2", "0.1e3", "1000e-1"];
        assert!(one.iter().all(|text| canonical(text) == "100.0"));
        assert_eq!((canonical("1e400"), canonical("10E+399")), ("1e400".into(), "1e400".into()));
        assert_eq!(canonical("-1.50e-20000"), "-15e-20001");
        assert_eq!(
            (canonical("-0"), canonical("-0.0e9"), canonical("0")),
            ("-0.0".into(), "-0.0".into(), "0".into())
        );
        let huge = "1e99999999999999999999";
        assert_eq!(canonical(huge), huge);
    }

    #[test]
    fn numbers_that_a_double_can_t_tell_apart_differ() {
        for (one, other) in [
            ("12345678901234567890123", "12345678901234567890124"),
            ("18446744073709551616", "18446744073709551617"),
            ("0.1", "0.10000000000000000001"),
            ("1e400", "1e401"),
            ("1e-20000", "0.0"),
        ] {
            assert_ne!(canonical(one), canonical(other));
            assert_eq!(canonical(one), canonical(one));
        }
    }

    #[test]
    fn lone_surrogates_differ_from_every_other_text() {
        let texts = [r#""\ud83d""#, r#""\ud83e""#, r#""\\ud83d""#, r#""\ufffd""#, r#""\ud83d\ude00""#];
        let all: std::collections::BTreeSet<_> =
            texts.iter().map(|text| of(&RawValue::from_string((*text).to_owned()).unwrap())).collect();
        assert_eq!(all.len(), texts.len());
        assert_eq!(canonical(r#"{"\uD83D":1}"#), canonical(r#"{"\ud83d":1}"#));
    }

    /// Keys that an earlier version stored are compared with it.
    #[test]
    fn lossless_numbers_are_written_as_serde_json_writes_them() {
        for text in ["1e300", "0.1", "1.7976931348623157e308", "5e-324", "-1", "18446744073709551615", "1.0"]
        {
            let value: serde_json::Value = serde_json::from_str(text).unwrap();
            assert_eq!(canonical(text), value.to_string());
        }
    }

    proptest! {
        #[test]
        fn any_value_is_canonicalised_as_serde_json_writes_it(value in json_value()) {
            prop_assert_eq!(canonical(&serde_json::to_string_pretty(&value).unwrap()), value.to_string());
        }
    }

    fn json_value() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<u64>().prop_map(Into::into),
            (-1_000_000_i32..1_000_000).prop_map(|n| (f64::from(n) / 1_000.0).into()),
            "\\PC{0,8}".prop_map(Into::into),
            "[\"\\\\\u{0}-\u{1f}]{0,4}".prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
                proptest::collection::btree_map("\\PC{0,4}", inner, 0..6)
                    .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
            ]
        })
    }
}
