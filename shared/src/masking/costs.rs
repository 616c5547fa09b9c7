//! Cost of masking: bytes of the index and steps of the search.

use super::{MASK, Masker, search::TextEnd};
use crate::limits::{RUN_SECRET_BYTES, SECRET_SET_BYTES};

const MIB: usize = 1024 * 1024;

/// Characters that every encoding escapes.
const MARKS: &str = "\"'\\<>{}|^%é;/?`";

/// Makes a text of `bytes` bytes of pseudo-random characters.
fn jumble(characters: &str, bytes: usize, seed: usize) -> String {
    let characters: Vec<char> = characters.chars().collect();
    let mut state = seed.wrapping_mul(0x9E37_79B9).wrapping_add(1);
    let mut text = String::new();
    while text.len() + 4 <= bytes {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        text.push(characters[(state >> 33) % characters.len()]);
    }
    text
}

/// Sets of values of the maximum size of a run, each of which makes the search expensive in another way.
fn worst_sets() -> Vec<(&'static str, Vec<String>)> {
    let letters: String = ('a'..='z').collect();
    let share = SECRET_SET_BYTES / 2;
    let lines = |seed| {
        jumble(MARKS, share * 7 / 8, seed)
            .chars()
            .collect::<Vec<_>>()
            .chunks(8)
            .map(String::from_iter)
            .collect::<Vec<_>>()
    };
    vec![
        ("marks", (0..6).map(|seed| jumble(MARKS, share, seed)).collect()),
        ("a period", (0..6).map(|seed| format!("{seed}{MARKS}").repeat(share / (MARKS.len() + 1))).collect()),
        ("lines", (0..6).map(|seed| lines(seed).join("\n")).collect()),
        ("a long common beginning", (0..600).map(|end| format!("{}{end}", "a".repeat(316))).collect()),
        ("one letter", (0..6).map(|less| "a".repeat(share - less)).collect()),
        ("backslashes", (0..6).map(|less| format!("{}x", "\\".repeat(share - less - 1))).collect()),
        ("short", (0..RUN_SECRET_BYTES / 6).map(|seed| jumble(&letters, 9, seed * 77)).collect()),
        ("spaces around", (0..6).map(|seed| format!(" {} ", jumble(MARKS, share - 2, seed))).collect()),
    ]
}

fn masker(values: &[String]) -> Masker {
    Masker::new(values.iter().map(String::as_str))
}

#[test]
fn the_index_of_the_largest_secret_set_is_small() {
    for (name, values) in worst_sets() {
        let bytes: usize = values.iter().map(String::len).sum();
        assert!(
            bytes <= RUN_SECRET_BYTES && bytes > RUN_SECRET_BYTES * 9 / 10,
            "{name}: {bytes} bytes of values"
        );
        let masker = masker(&values);
        masker.mask(&values[0]);
        let index = masker.index_bytes();
        assert!(index > bytes && index <= 16 * MIB, "{name}: an index of {index} bytes");
    }
}

#[test]
fn the_search_takes_a_bounded_number_of_steps() {
    for (name, values) in worst_sets() {
        let masker = masker(&values);
        let texts = [
            values[0].clone(),
            serde_json::Value::from(&*values[0]).to_string(),
            "a".repeat(20_000),
            "\\".repeat(20_000),
            "%25".repeat(8_000),
            jumble(MARKS, 20_000, 99),
            "QUFB\n      ".repeat(2_000),
        ];
        for text in texts {
            let (steps, most) = masker.index().steps(&text, TextEnd::Truncated);
            // A step that has started is not interrupted.
            assert!(
                most <= 12 * text.len() + 512 && steps <= most + text.len(),
                "{name}: {steps} of {most} steps"
            );
        }
    }
}

#[test]
fn a_text_that_exceeds_the_step_limit_is_masked_to_its_end() {
    let masker = masker(&[format!("{}b", "a".repeat(1_000))]);
    let text = format!("{} and the end", "a".repeat(100_000));
    let masked = masker.mask(&text);
    assert!(
        masked.starts_with("aaa") && masked.ends_with(MASK) && masked.len() < 10_000,
        "{} bytes",
        masked.len()
    );
    let short = format!("{} and the end", "a".repeat(30));
    assert_eq!(masker.mask(&short), short, "a short text is searched through");
}

#[test]
fn usual_values_take_a_step_or_two_per_byte() {
    let letters: String = ('a'..='z').chain('A'..='Z').chain('0'..='9').collect();
    let values: Vec<String> = (0..200).map(|seed| jumble(&letters, 64, seed)).collect();
    let masker = masker(&values);
    let base64 = jumble(&letters, 20_000, 99);
    let json =
        format!(r#"{{"name":"{}","url":"https://plane.example/a%20b?c=d&e=f"}}"#, values[7]).repeat(100);
    for text in [values.concat(), base64, json] {
        let (steps, _) = masker.index().steps(&text, TextEnd::Complete);
        assert!(steps < 2 * text.len(), "{steps} steps for {} bytes", text.len());
    }
}

#[test]
fn a_text_shorter_than_any_secret_builds_no_index() {
    let masker = Masker::new(["a-secret-of-some-length"]);
    for json in ["null", "true", r#"{"success":true,"count":12}"#] {
        let json = serde_json::value::RawValue::from_string(json.to_owned()).unwrap();
        assert_eq!(masker.mask_json(json.clone()).get(), json.get());
    }
    masker.mask("done");
    assert_eq!(masker.index_bytes(), 0);
}
