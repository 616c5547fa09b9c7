//! Property tests of the search against a slow reference search, on adversarial values and texts.

use super::{Masker, reference, search::TextEnd};
use proptest::{prelude::*, sample};
use std::ops::Range;

/// Characters that some encoding treats specially, and letters and digits that complete escapes.
const CHARACTERS: &[&str] = &[
    "a", "b", "c", "n", "u", "x", "A", "0", "1", "2", "4", "5", "7", "%", "+", " ", "\\", "\"", "'", "/",
    "&", "#", ";", "=", "-", "~", "{", "|", "é", "😀", "\n", "\u{1}", "\u{9f}", "%20", "%41", "\\n", "&amp;",
    "\u{fffd}",
];

fn characters(count: impl Into<proptest::collection::SizeRange>) -> impl Strategy<Value = String> {
    proptest::collection::vec(sample::select(CHARACTERS), count).prop_map(|pieces| pieces.concat())
}

/// Strategy of values, some repetitive, of several lines, or with surrounding space.
fn values() -> impl Strategy<Value = Vec<String>> {
    let line = prop_oneof![characters(4..14), "[a-z0-9]{4,12}", "[ab]{4,20}"];
    let value = proptest::collection::vec(line, 1..4).prop_map(|lines| lines.join("\n"));
    proptest::collection::vec(value, 1..4)
}

/// Makes a text of forms, parts of forms and other text, as selected by `pieces`.
fn text(forms: &[String], pieces: &[(sample::Index, sample::Index, u8, String)]) -> String {
    let mut text = String::new();
    for (form, at, kind, other) in pieces {
        let form = forms.get(form.index(forms.len().max(1))).map_or("", String::as_str);
        let at = form.floor_char_boundary(at.index(form.len() + 1));
        text.push_str(match kind {
            0 => &form[..at],
            1 => &form[at..],
            2 | 3 => form,
            _ => other,
        });
    }
    text
}

fn pieces() -> impl Strategy<Value = Vec<(sample::Index, sample::Index, u8, String)>> {
    proptest::collection::vec(
        (any::<sample::Index>(), any::<sample::Index>(), 0..7_u8, characters(0..6)),
        0..7,
    )
}

fn masker(values: &[String]) -> Masker {
    Masker::new(values.iter().map(String::as_str))
}

fn covers(found: &[Range<usize>], place: &Range<usize>) -> bool {
    found.iter().any(|range| range.start <= place.start && place.end <= range.end)
}

/// Minimum number of cases. `PROPTEST_CASES` may raise it.
const CASES: u32 = 1_000;

fn config() -> ProptestConfig {
    let config = ProptestConfig::default();
    ProptestConfig { cases: config.cases.max(CASES), ..config }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn every_form_is_masked_wherever_it_stands(values in values(), pieces in pieces(), is_cut: bool) {
        let forms = reference::forms(values.iter().map(String::as_str));
        let listed: Vec<String> = forms.iter().cloned().collect();
        let text = text(&listed, &pieces);
        let end = if is_cut { TextEnd::Truncated } else { TextEnd::Complete };
        let found = masker(&values).find(&text, end);
        for place in reference::places(&forms, &text, is_cut) {
            prop_assert!(covers(&found, &place), "{:?} of {:?} in {:?}", &text[place], text, found);
        }
    }

    #[test]
    fn the_search_finds_what_a_search_by_each_value_finds(values in values(), pieces in pieces()) {
        let listed: Vec<String> = reference::forms(values.iter().map(String::as_str)).into_iter().collect();
        let text = text(&listed, &pieces);
        let masker = masker(&values);
        prop_assert_eq!(masker.find(&text, TextEnd::Complete), reference::find(&masker, &text), "{:?}", text);
    }
}
