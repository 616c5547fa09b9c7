//! Excerpts of secrets in messages of V8: `Unexpected token 'x', "xoxb-12345"... is not valid JSON`.
//!
//! An excerpt may begin or end anywhere in a value, so the index of whole values does not find it.

use std::{
    ops::Range,
    sync::atomic::{AtomicUsize, Ordering},
};

/// Number of bytes of a value that no excerpt shows.
const HIDDEN_BYTES: usize = 8;
/// Limits the excerpts of one run that are compared with its values. Further ones are masked without a comparison.
const COMPARED_EXCERPTS: usize = 16;
/// Limits the length, in bytes, of V8's message before the end of the excerpt: 21 characters and the words around them.
const MAX_MESSAGE_BYTES: usize = 128;

const BEGIN: &str = "Unexpected token '";
const ENDS: [&str; 2] = ["\" is not valid JSON", "\"... is not valid JSON"];
const STARTS: [&str; 2] = ["', \"", "', ...\""];

/// Search for excerpts in the texts of one run.
#[derive(Debug, Default)]
pub(super) struct Excerpts {
    compared: AtomicUsize,
}

impl Excerpts {
    /// Finds the excerpts that show a part of one of `values`, in ascending order.
    pub(super) fn find(&self, text: &str, values: &[Box<str>]) -> Vec<Range<usize>> {
        if values.is_empty() {
            return Vec::new();
        }
        let mut excerpts: Vec<Range<usize>> = ENDS
            .iter()
            .flat_map(|end| text.match_indices(end))
            .filter_map(|(end, _)| excerpt(text, end))
            .collect();
        excerpts.sort_unstable_by_key(|excerpt| excerpt.start);
        excerpts.retain(|excerpt| self.shows(beside(text.as_bytes(), excerpt), values));
        excerpts
    }

    /// Returns whether an excerpt shows a part of a value, or may do so.
    fn shows(&self, excerpt: &[u8], values: &[Box<str>]) -> bool {
        if self.compared.fetch_add(1, Ordering::Relaxed) >= COMPARED_EXCERPTS {
            return true;
        }
        let shown: Vec<[u8; HIDDEN_BYTES]> = parts(excerpt).collect();
        values.iter().any(|value| parts(value.as_bytes()).any(|part| shown.contains(&part)))
    }
}

/// Iterates over the parts of a text that are too long to be shown.
fn parts(text: &[u8]) -> impl Iterator<Item = [u8; HIDDEN_BYTES]> {
    text.windows(HIDDEN_BYTES).filter_map(|part| part.try_into().ok())
}

/// Returns an excerpt with the bytes around it that complete a part of a value: V8's quote may be the value's as well.
fn beside<'t>(text: &'t [u8], excerpt: &Range<usize>) -> &'t [u8] {
    let margin = HIDDEN_BYTES - 1;
    &text[excerpt.start.saturating_sub(margin)..text.len().min(excerpt.end + margin)]
}

/// Returns the excerpt that ends at `end`, between the quotes.
fn excerpt(text: &str, end: usize) -> Option<Range<usize>> {
    let from = text.floor_char_boundary(end.saturating_sub(MAX_MESSAGE_BYTES));
    let begin = from + text[from..end].rfind(BEGIN)? + BEGIN.len();
    let starts = STARTS.iter().filter_map(|start| Some(begin + text[begin..end].find(start)? + start.len()));
    Some(starts.min()?..end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::masking::Masker;
    use proptest::prelude::*;

    #[test]
    fn an_excerpt_of_v8_with_a_part_of_a_secret_is_masked() {
        let masker = Masker::new(["xoxb-1234567890-abcdefghijkl"]);
        for (text, expected) in [
            (
                r#"Unexpected token 'x', "xoxb-12345"... is not valid JSON"#,
                r#"Unexpected token 'x', "[masked]"... is not valid JSON"#,
            ),
            (
                r#"a: Unexpected token 'a', ..."567890-abcd"... is not valid JSON (b)"#,
                r#"a: Unexpected token 'a', ..."[masked]"... is not valid JSON (b)"#,
            ),
            (
                r#"Unexpected token 'x', ..."en":"xoxb-1234"... is not valid JSON"#,
                r#"Unexpected token 'x', ..."[masked]"... is not valid JSON"#,
            ),
            (
                r#"Unexpected token 'j', ..."fghijkl" is not valid JSON"#,
                r#"Unexpected token 'j', ..."fghijkl" is not valid JSON"#,
            ),
            (
                r#"Unexpected token '<', "<!DOCTYPE "... is not valid JSON"#,
                r#"Unexpected token '<', "<!DOCTYPE "... is not valid JSON"#,
            ),
        ] {
            assert_eq!(masker.mask(text), expected);
        }
    }

    #[test]
    fn the_quote_of_v8_counts_as_the_secret_s_own() {
        let masker = Masker::new([r#"abcdefg"hijklmnop"#]);
        let text = r#"Unexpected token 'a', "0 abcdefg"... is not valid JSON"#;
        assert_eq!(masker.mask(text), r#"Unexpected token 'a', "[masked]"... is not valid JSON"#);
    }

    #[test]
    fn excerpts_beyond_the_limit_are_masked_unread() {
        let masker = Masker::new(["xoxb-1234567890"]);
        let text = r#"Unexpected token 'h', "harmless w"... is not valid JSON"#;
        for _ in 0..COMPARED_EXCERPTS {
            assert_eq!(masker.mask(text), text);
        }
        assert_eq!(masker.mask(text), r#"Unexpected token 'h', "[masked]"... is not valid JSON"#);
    }

    /// V8's message about the token at this character, as `JsonParser::ReportUnexpectedToken` makes it.
    fn message(json: &[char], at: usize) -> String {
        const CONTEXT: usize = 10;
        let token = json[at];
        let text = |range: Range<usize>| json[range].iter().collect::<String>();
        if json.len() <= 40 {
            return format!("Unexpected token '{token}', \"{}\" is not valid JSON", text(0..json.len()));
        }
        let (start, end) = (at.saturating_sub(CONTEXT), (at + CONTEXT).min(json.len()));
        let (before, after) =
            (if start == 0 { "" } else { "..." }, if end == json.len() { "" } else { "..." });
        format!("Unexpected token '{token}', {before}\"{}\"{after} is not valid JSON", text(start..end))
    }

    proptest! {
        #[test]
        fn no_eight_characters_of_a_secret_are_left_in_an_excerpt(
            secret in "[!-~]{9,60}", before in "[ -~]{0,30}", after in "[ -~]{0,30}", at: prop::sample::Index,
        ) {
            let json: Vec<char> = format!("{before}{secret}{after}").chars().collect();
            let message = message(&json, at.index(json.len()));
            let masked = Masker::new([secret.as_str()]).mask(&message).into_owned();
            for part in secret.as_bytes().windows(HIDDEN_BYTES) {
                let part = str::from_utf8(part).unwrap();
                prop_assert!(!masked.contains(part), "{part} in {masked}");
            }
        }
    }
}
