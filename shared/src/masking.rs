//! Keeps secret values out of what is stored or shown: logs, results, errors.
//!
//! Invariant: no form of a value listed in [`encodings`] passes [`Masker::mask`]. What a script computes from a secret
//! (a hash, every second letter) is beyond any masker; this catches accidents, such as a logged request.

mod encodings;
mod truncation;

use aho_corasick::AhoCorasick;
use serde_json::value::RawValue;
use std::{borrow::Cow, collections::BTreeSet, fmt, ops::Range, sync::OnceLock};

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

/// Replaces secret values, in every form of [`encodings`], by [`MASK`].
pub struct Masker {
    forms: BTreeSet<String>,
    /// Bytes of the shortest form: shorter text needs no search.
    shortest: usize,
    /// Made when first needed: most runs log nothing and return little.
    automaton: OnceLock<AhoCorasick>,
}

impl Masker {
    /// Masks `values`; those that [`check`] refuses are left alone.
    pub fn new<'a>(values: impl IntoIterator<Item = &'a str>) -> Self {
        let mut forms = BTreeSet::new();
        for value in values.into_iter().filter(|value| check(value).is_ok()) {
            encodings::extend_with_forms(&mut forms, value);
            let trimmed = value.trim();
            if trimmed.len() < value.len() {
                encodings::extend_with_forms(&mut forms, trimmed);
            }
            // The console prints a long text line by line, and a group indents each.
            let lines = trimmed.lines().map(str::trim).filter(|line| line.len() < trimmed.len());
            for line in lines.filter(|line| line.chars().nth(MIN_LINE_CHARACTERS - 1).is_some()) {
                encodings::extend_with_text(&mut forms, line);
            }
        }
        let shortest = forms.iter().map(String::len).min().unwrap_or(usize::MAX);
        Self { forms, shortest, automaton: OnceLock::new() }
    }

    /// `text` without secrets. Forms that overlap or touch are replaced together, so that nothing of either is left.
    pub fn mask<'a>(&self, text: &'a str) -> Cow<'a, str> {
        without(text, &self.find(text))
    }

    /// [`Masker::mask`] for a text that was cut at its end: the beginning of a secret is masked there too.
    pub fn mask_cut<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut secrets = self.find(text);
        // A cut in the middle of a surrogate pair leaves a replacement character.
        let end = text.strip_suffix('\u{FFFD}').unwrap_or(text);
        let start = end.len() - truncation::longest_beginning_at_the_end(&self.forms, end);
        if end[start..].chars().nth(MIN_CHARACTERS - 1).is_some() {
            add(&mut secrets, start..text.len());
        }
        without(text, &secrets)
    }

    /// Where secrets stand in `text`: ascending, apart from each other.
    fn find(&self, text: &str) -> Vec<Range<usize>> {
        let mut merged: Vec<Range<usize>> = Vec::new();
        if text.len() < self.shortest {
            return merged;
        }
        // Matches come in order of their ends, so each swallows some of the last ones or stands alone.
        for found in self.automaton().find_overlapping_iter(text) {
            add(&mut merged, found.range());
        }
        merged
    }

    /// `json` without secrets, and still JSON: strings and keys are masked inside, and a number that is a secret as
    /// a whole becomes the string [`MASK`].
    #[must_use]
    pub fn mask_json(&self, json: Box<RawValue>) -> Box<RawValue> {
        let text = json.get();
        if text.len() < self.shortest || !self.automaton().is_match(text) && !text.contains('\\') {
            return json;
        }
        let masked = self.mask_tokens(text);
        RawValue::from_string(masked).expect("strings were replaced by strings and numbers by strings")
    }

    /// Goes through JSON text token by token, without recursion: nesting depth is the script's choice.
    fn mask_tokens(&self, json: &str) -> String {
        let mut masked = String::with_capacity(json.len());
        let mut rest = json;
        while let Some(first) = rest.chars().next() {
            let length = match first {
                '"' => string_length(rest),
                '-' | '0'..='9' => rest.find([',', ']', '}', ' ', '\n', '\r', '\t']).unwrap_or(rest.len()),
                _ => first.len_utf8(),
            };
            let (token, following) = rest.split_at(length);
            masked.push_str(&self.mask_token(token));
            rest = following;
        }
        masked
    }

    fn mask_token<'a>(&self, token: &'a str) -> Cow<'a, str> {
        if token.starts_with('"') {
            let Ok(text) = serde_json::from_str::<String>(token) else { return self.mask(token) };
            match self.mask(&text) {
                Cow::Borrowed(_) => Cow::Borrowed(token),
                Cow::Owned(masked) => Cow::Owned(quoted(&masked)),
            }
        } else if self.forms.contains(token) || self.forms.contains(token.trim_start_matches('-')) {
            Cow::Owned(quoted(MASK))
        } else {
            Cow::Borrowed(token)
        }
    }

    fn automaton(&self) -> &AhoCorasick {
        self.automaton.get_or_init(|| AhoCorasick::new(&self.forms).expect("far fewer than 2³¹ forms"))
    }
}

impl fmt::Debug for Masker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Masker({} forms)", self.forms.len())
    }
}

/// Adds a range that ends after all others, together with those it overlaps or touches.
fn add(ranges: &mut Vec<Range<usize>>, range: Range<usize>) {
    let mut start = range.start;
    while let Some(last) = ranges.pop_if(|last| last.end >= start) {
        start = start.min(last.start);
    }
    ranges.push(start..range.end);
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

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Bytes of the JSON string `text` begins with, both quotes included.
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

#[cfg(test)]
mod tests {
    use super::*;
    use base64::{
        Engine,
        prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE, BASE64_URL_SAFE_NO_PAD},
    };
    use proptest::prelude::*;

    fn masker(values: &[&str]) -> Masker {
        Masker::new(values.iter().copied())
    }

    fn raw(json: &str) -> Box<RawValue> {
        RawValue::from_string(json.to_owned()).unwrap()
    }

    #[test]
    fn a_value_is_masked_wherever_it_stands() {
        let masker = masker(&["xoxb-123"]);
        assert_eq!(masker.mask("token=xoxb-123; again xoxb-123"), "token=[masked]; again [masked]");
        assert!(matches!(masker.mask("nothing here"), Cow::Borrowed(_)));
    }

    #[test]
    fn overlapping_values_leave_nothing_of_either() {
        assert_eq!(masker(&["abcd", "abcdefgh"]).mask("abcdefgh abcdxx"), "[masked] [masked]xx");
        assert_eq!(masker(&["abcd", "cdefgh"]).mask("<abcdefgh>"), "<[masked]>");
        assert_eq!(masker(&["aaaa"]).mask("aaaaaaa"), MASK);
    }

    #[test]
    fn url_encoded_forms_are_masked_in_either_case() {
        let masker = masker(&["p@ss wörd/+"]);
        let texts = [
            "p%40ss%20w%C3%B6rd%2F%2B",
            "p%40ss%20w%c3%b6rd%2f%2b",
            "p%40ss+w%C3%B6rd%2F%2B",
            "p%40ss+w%c3%b6rd%2f%2b",
            "p@ss%20w%C3%B6rd/+",
        ];
        for text in texts {
            assert_eq!(masker.mask(text), MASK, "{text}");
        }
    }

    #[test]
    fn basic_authentication_does_not_reveal_the_password() {
        let masker = masker(&["hunter2-hunter2"]);
        for user in ["a", "ab", "abc"] {
            let header = format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:hunter2-hunter2")));
            let shown = masker.mask(&header);
            assert!(shown.contains(MASK), "{shown}");
            let left = shown.replace(MASK, "").len() - "Basic ".len();
            assert!(left <= BASE64_STANDARD.encode(user).len() + 2, "{shown}");
        }
    }

    #[test]
    fn json_escaped_forms_are_masked_also_when_escaped_twice() {
        let secret = "line\n\"quoted\"\\";
        let masker = masker(&[secret]);
        let once = quoted(secret);
        let twice = quoted(&once);
        assert_eq!(masker.mask(&once), r#""[masked]""#);
        assert_eq!(masker.mask(&twice), r#""\"[masked]\"""#);
    }

    #[test]
    fn short_values_and_plain_words_are_left_alone() {
        assert_eq!(check("abc"), Err(Unmasked::Short));
        assert_eq!(check(" a  "), Err(Unmasked::Short));
        assert_eq!(check("True"), Err(Unmasked::PlainWord));
        assert_eq!(check("äöüß"), Ok(()));
        assert_eq!(masker(&["abc", "true", ""]).mask("abc is true"), "abc is true");
    }

    #[test]
    fn a_line_break_at_the_end_of_a_secret_hides_nothing() {
        assert_eq!(masker(&["xoxb-123\n"]).mask("<xoxb-123>"), "<[masked]>");
    }

    #[test]
    fn every_line_of_a_value_is_masked_by_itself() {
        let key = "-----BEGIN KEY-----\nMIIEvQIBADANBg\nkqhki\"G9w0BAQ\n-----END KEY-----\n";
        let masker = masker(&[key]);
        let shown = "{\n  PEM: '-----BEGIN KEY-----\\n' +\n    'MIIEvQIBADANBg\\n' +\n    'kqhki\"G9w0BAQ\\n' +\n '-----END KEY-----\\n'\n}";
        let masked = masker.mask(shown);
        assert_eq!(masked.matches(MASK).count(), 4, "{masked}");
        assert!(!masked.contains("KEY") && !masked.contains("MII") && !masked.contains("kqhki"), "{masked}");
        let indented = key.replace('\n', "\n    ");
        assert_eq!(masker.mask(&indented).matches(MASK).count(), 4);
        assert_eq!(masker.mask("one\ntwo"), "one\ntwo");
    }

    #[test]
    fn the_beginning_of_a_secret_at_a_cut_is_masked() {
        let masker = masker(&["xoxb-1234", "1234567890"]);
        assert_eq!(masker.mask_cut("<xoxb-1234> xoxb-12"), "<[masked]> [masked]");
        assert_eq!(masker.mask_cut("a xox"), "a xox", "too little to tell, or to use");
        assert_eq!(masker.mask_cut("xoxb-123456"), "[masked]", "the beginning of one overlaps the other");
        assert_eq!(masker.mask_cut("token xoxb-1234"), "token [masked]");
        assert_eq!(masker.mask_cut("nothing here"), "nothing here");
        assert_eq!(masker.mask_cut("xoxb-\u{FFFD}"), "[masked]");
        assert_eq!(masker.mask("a xoxb-12"), "a xoxb-12", "a text that was not cut is left alone");
    }

    #[test]
    fn masked_json_is_json() {
        let masker = masker(&["12345678", "xoxb-\"1\"", "null"]);
        let json = raw(
            r#"{"xoxb-\"1\"": [12345678, -12345678, 1234567890, null], "a": "<12345678>", "b": "\u0078oxb-\"1\""}"#,
        );
        let expected =
            r#"{"[masked]": ["[masked]", "[masked]", 1234567890, null], "a": "<[masked]>", "b": "[masked]"}"#;
        assert_eq!(masker.mask_json(json).get(), expected);
    }

    #[test]
    fn json_nested_10_000_deep_does_not_overflow_the_stack() {
        let json = format!("{}\"xoxb-123\"{}", "[".repeat(10_000), "]".repeat(10_000));
        assert!(masker(&["xoxb-123"]).mask_json(raw(&json)).get().contains(MASK));
    }

    #[test]
    fn a_value_that_repeats_itself_is_found_in_linear_time() {
        let values: Vec<String> = (4..64).map(|length| "a".repeat(length)).collect();
        let masker = Masker::new(values.iter().map(String::as_str));
        assert_eq!(masker.mask(&"a".repeat(100_000)), MASK);
    }

    #[test]
    fn debug_shows_no_value() {
        assert!(!format!("{:?}", masker(&["hunter2"])).contains("hunter2"));
    }

    proptest! {
        #[test]
        fn no_listed_form_survives(secret in "\\PC{4,24}", before in "[a-z ]{0,5}", after in "[a-z ]{0,5}") {
            prop_assume!(check(&secret).is_ok() && secret.trim() == secret);
            let masker = masker(&[&secret]);
            let forms = [
                secret.clone(),
                quoted(&secret)[1..quoted(&secret).len() - 1].to_owned(),
                url::form_urlencoded::byte_serialize(secret.as_bytes()).collect(),
                BASE64_STANDARD.encode(&secret),
                BASE64_STANDARD_NO_PAD.encode(&secret),
                BASE64_URL_SAFE.encode(&secret),
                BASE64_URL_SAFE_NO_PAD.encode(&secret),
            ];
            for form in forms {
                let text = format!("{before} {form} {after}");
                let masked = masker.mask(&text);
                prop_assert!(masked.contains(MASK), "{masked}");
                prop_assert!(!masked.replace(MASK, "").contains(&form), "{masked}");
            }
        }

        #[test]
        fn any_result_stays_json(value in json_value(), secret in "[a-z0-9\"\\\\]{4,6}") {
            let masker = masker(&[&secret, "1234"]);
            let masked = masker.mask_json(serde_json::value::to_raw_value(&value).unwrap());
            prop_assert!(serde_json::from_str::<serde_json::Value>(masked.get()).is_ok());
        }
    }

    fn json_value() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            Just(1234.into()),
            "[a-z0-9\"\\\\\n]{0,12}".prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
                proptest::collection::btree_map("[a-z0-9\"]{0,8}", inner, 0..6)
                    .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
            ]
        })
    }
}
