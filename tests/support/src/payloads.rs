//! JSON objects that a careless parser rejects, changes or enlarges.

/// Object as sent by a client, and as seen by a script.
pub struct Payload {
    pub sent: String,
    /// Text of `JSON.parse(sent)` by the function [`SHOW`].
    pub seen: String,
}

/// Declares a function `show`, which distinguishes values that `JSON.stringify` does not: `-0` and infinite numbers.
pub const SHOW: &str = r#"
const show = (value) => {
    if (typeof value === "string") return JSON.stringify(value);
    if (Object.is(value, -0)) return "-0";
    if (Array.isArray(value)) return `[${value.map(show)}]`;
    if (value === null || typeof value !== "object") return String(value);
    return `{${Object.entries(value).map(([name, inner]) => `${JSON.stringify(name)}:${show(inner)}`)}}`;
};
"#;

/// Lists payloads within the limits of all ways of submission: 256 KiB of event and context together, and 64 levels of
/// a test run's body.
pub fn payloads() -> Vec<Payload> {
    let written = [
        // Names: order, duplicates, those of prototypes, the empty one, lone surrogates.
        (r#"{"zz":1,"a":2,"10":3,"m":4}"#, r#"{"10":3,"zz":1,"a":2,"m":4}"#),
        (r#"{"a":1,"b":2,"\u0061":3}"#, r#"{"a":3,"b":2}"#),
        (r#"{"__proto__":{"x":1},"constructor":2,"":3}"#, r#"{"__proto__":{"x":1},"constructor":2,"":3}"#),
        (r#"{"\udc00":1,"\ud83d":2,"\u0000":3}"#, r#"{"\udc00":1,"\ud83d":2,"\u0000":3}"#),
        // Texts: NUL, a title truncated inside an emoji, escapes.
        (r#"{"t":"x\u0000y"}"#, r#"{"t":"x\u0000y"}"#),
        (r#"{"t":"\ud83d","u":"\uD83D\uD83D\uDE00"}"#, r#"{"t":"\ud83d","u":"\ud83d😀"}"#),
        (r#"{"t":"\/\u00e9\"\\\ud83d\ude00"}"#, r#"{"t":"/é\"\\😀"}"#),
        // Numbers: beyond the range and precision of a double, and both zeros.
        (
            r#"{"a":1e400,"b":-1e400,"c":1e131071,"d":1e131072,"e":1e-20000}"#,
            r#"{"a":Infinity,"b":-Infinity,"c":Infinity,"d":Infinity,"e":0}"#,
        ),
        (
            r#"{"a":12345678901234567890123,"b":0.1,"c":1.50,"d":9007199254740993}"#,
            r#"{"a":1.2345678901234568e+22,"b":0.1,"c":1.5,"d":9007199254740992}"#,
        ),
        (r#"{"a":-0,"b":-0.0,"c":0}"#, r#"{"a":-0,"b":-0,"c":0}"#),
        // Space.
        ("{ \"a\" :\n[ 1 ,\t2 ] , \"b\":{ }\r\n}", r#"{"a":[1,2],"b":{}}"#),
    ];
    let written = written.map(|(sent, seen)| Payload { sent: sent.to_owned(), seen: seen.to_owned() });
    let same = |text: String| Payload { seen: text.clone(), sent: text };
    let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(61), "]".repeat(61));
    let long_name = format!(r#"{{"{}":1}}"#, "k".repeat(100_000));
    let many_names =
        (0..10_000).map(|number| format!(r#""k{number}":{number}"#)).collect::<Vec<_>>().join(",");
    written.into_iter().chain([same(deep), same(long_name), same(format!("{{{many_names}}}"))]).collect()
}
