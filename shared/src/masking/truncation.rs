//! What a cut leaves of a secret: its beginning, at the end of the text.

use std::collections::BTreeSet;

/// Bytes of the longest end of `text` that one of `forms` begins with and is longer than.
///
/// Takes time linear in the forms' lengths, whatever repeats in them.
pub(super) fn longest_beginning_at_the_end(forms: &BTreeSet<String>, text: &str) -> usize {
    forms.iter().map(|form| beginning_at_the_end(form.as_bytes(), text.as_bytes())).max().unwrap_or(0)
}

/// The last state of the Knuth-Morris-Pratt automaton of `form` over the end of `text`.
fn beginning_at_the_end(form: &[u8], text: &[u8]) -> usize {
    let borders = borders(form);
    let end = &text[text.len().saturating_sub(form.len().saturating_sub(1))..];
    end.iter().fold(0, |matched, &byte| advance(form, &borders, matched, byte))
}

/// At `i`: how long the longest beginning of `form[..=i]` is that also ends it, but is not all of it.
fn borders(form: &[u8]) -> Vec<usize> {
    let mut borders = vec![0; form.len()];
    for at in 1..form.len() {
        borders[at] = advance(form, &borders, borders[at - 1], form[at]);
    }
    borders
}

/// How much of `form` is matched when `byte` follows `matched` bytes of it.
fn advance(form: &[u8], borders: &[usize], mut matched: usize, byte: u8) -> usize {
    while matched > 0 && form[matched] != byte {
        matched = borders[matched - 1];
    }
    if form.get(matched) == Some(&byte) { matched + 1 } else { matched }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_a_proper_beginning_counts() {
        assert_eq!(beginning_at_the_end(b"abcab", b"xxabca"), 4);
        assert_eq!(beginning_at_the_end(b"abcab", b"xxabcab"), 2);
        assert_eq!(beginning_at_the_end(b"abcab", b""), 0);
        assert_eq!(beginning_at_the_end(b"a", b"a"), 0);
    }

    proptest! {
        #[test]
        fn it_is_the_longest(form in "[ab]{1,8}", text in "[ab]{0,12}") {
            let longest = (0..form.len()).rev().find(|&length| text.ends_with(&form[..length])).unwrap_or(0);
            prop_assert_eq!(beginning_at_the_end(form.as_bytes(), text.as_bytes()), longest);
        }
    }
}
