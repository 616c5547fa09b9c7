use super::json::quoted;
use crate::masking::*;
use ::base64::{
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
    assert_eq!(check("abc"), Err(UnmaskedReason::Short));
    assert_eq!(check(" a  "), Err(UnmaskedReason::Short));
    assert_eq!(check("True"), Err(UnmaskedReason::PlainWord));
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
    assert_eq!(masker.mask_truncated("<xoxb-1234> xoxb-12"), "<[masked]> [masked]");
    assert_eq!(masker.mask_truncated("a xox"), "a xox", "too little to tell, or to use");
    assert_eq!(masker.mask_truncated("xoxb-123456"), "[masked]", "the beginning of one overlaps the other");
    assert_eq!(masker.mask_truncated("token xoxb-1234"), "token [masked]");
    assert_eq!(masker.mask_truncated("nothing here"), "nothing here");
    assert_eq!(masker.mask_truncated("xoxb-\u{FFFD}"), "[masked]");
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
fn a_secret_as_the_host_of_a_url_is_masked() {
    let masker = masker(&["XoxB-1234abcd", "SGVsbG8gd29ybGQ/abc==", "https://Hooks.example/T0/B0"]);
    assert_eq!(masker.mask("Domain not allowed: xoxb-1234abcd"), "Domain not allowed: [masked]");
    assert_eq!(masker.mask("GET xoxb-1234abcd.example.com 3 ms"), "GET [masked].example.com 3 ms");
    assert_eq!(masker.mask("GET sgvsbg8gd29ybgq 3 ms"), "GET [masked] 3 ms");
    assert_eq!(masker.mask("https://a.example"), "https://a.example", "a scheme is no part of a secret");
}

#[test]
fn debug_shows_no_value() {
    assert!(!format!("{:?}", masker(&["hunter2"])).contains("hunter2"));
}

#[test]
fn escapes_that_other_programs_write_are_masked() {
    let masker = masker(&["https://x.example/é?a=<b>&c='d'"]);
    for text in [
        r"https:\/\/x.example\/é?a=<b>&c='d'",
        r"https://x.example/\u00e9?a=\u003cb\u003e\u0026c=\u0027d\u0027",
        r"https:\\/\\/x.example\\/\\u00e9?a=<b>&c='d'",
        "https://x.example/é?a=&lt;b&gt;&amp;c=&#39;d&#39;",
        "https:&#x2F;&#47;x.example/&#233;?a=<b>&amp;c=&apos;d&apos;",
        "https%3a//x.example/%C3%a9?a=<b>%26c='d'",
    ] {
        assert_eq!(masker.mask(text), MASK, "{text}");
    }
}

#[test]
fn base64_is_masked_also_in_lines_and_in_addresses() {
    let secret: String = "xy".chars().chain('!'..='~').chain("?".chars()).collect();
    let masker = masker(&[&secret]);
    let encoded = BASE64_STANDARD.encode(&secret);
    assert!(encoded.contains('/') && encoded.contains('+') && encoded.ends_with('='), "{encoded}");
    let address: String = url::form_urlencoded::byte_serialize(encoded.as_bytes()).collect();
    let (first, second) = encoded.split_at(76);
    for text in [
        encoded.replace('/', r"\/"),
        address,
        format!("{first}\n{second}"),
        format!("{first}\r\n    {second}"),
        format!(r"{first}\r\n{second}"),
        format!("{first}\\n' +\n  '{second}"),
    ] {
        assert_eq!(masker.mask(&text), MASK, "{text}");
    }
}

#[test]
fn a_long_secret_abbreviated_by_the_console_is_masked() {
    let secret = (0..1_500).map(|number| format!("{number:07}")).collect::<Vec<_>>().join(" ") + " ";
    let masker = masker(&[&secret]);
    assert_eq!(secret.len(), 12_000);
    let shown = format!("{{ a: '{}'... 2000 more characters, b: 1 }}", &secret[..10_000]);
    assert_eq!(masker.mask(&shown), "{ a: '[masked]'... 2000 more characters, b: 1 }");
    let other = "{ a: '0000000'... 2000 times, b: '000'... 5 more characters }";
    assert_eq!(masker.mask(other), "{ a: '[masked]'... 2000 times, b: '000'... 5 more characters }");
}

proptest! {
    #[test]
    fn every_encoded_form_of_a_secret_is_masked(secret in "\\PC{4,24}", before in "[a-z ]{0,5}", after in "[a-z ]{0,5}") {
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
