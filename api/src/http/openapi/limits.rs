//! Checks that pages and document state the limits that the code has.

use super::document;
use crate::{
    http::extract::{idempotency_key, json::MAX_BODY_BYTES},
    model::{dead_letter, pagination::MAX_PER_PAGE, validation::MAX_ENV_VALUE},
};
use serde_json::Value;
use shared::{
    limits::{BODY_NESTING, CODE_BYTES, EVENT_NESTING, INPUT_BYTES, Limits, SECRET_SET_BYTES},
    signing::CLOCK_SKEW_S,
};

fn page(name: &str) -> String {
    let path = format!("{}/../docs/{name}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Returns a number of bytes as pages write it.
fn size(bytes: usize) -> String {
    let (count, unit) = if bytes >= 1 << 20 { (bytes >> 20, "MiB") } else { (bytes >> 10, "KiB") };
    assert_eq!(count << if unit == "MiB" { 20 } else { 10 }, bytes, "not a whole number of {unit}");
    format!("{count} {unit}")
}

/// Returns a number as pages write it.
fn grouped(number: usize) -> String {
    if number < 1_000 { number.to_string() } else { format!("{},{:03}", number / 1_000, number % 1_000) }
}

#[test]
fn the_script_contract_states_the_limits_of_the_code() {
    let limits = Limits::default();
    let page = page("script-contract.md");
    let rows = [
        format!("| evaluating the top level | {} s | `init_timeout` |", limits.init_timeout.as_secs()),
        format!("| the run | {} s | `timeout` |", limits.execution_timeout.as_secs()),
        format!(
            "| memory, heap and array buffers together | {} | `memory_limit` |",
            size(limits.memory_bytes)
        ),
        format!("| code of a script, or of a function | {} | refused when sent |", size(CODE_BYTES)),
        format!("| `event` and `context` together | {} | refused when sent |", size(INPUT_BYTES)),
        format!("| `variables` | {} | refused when sent |", size(INPUT_BYTES)),
        format!(
            "| nesting of these, over HTTP with the body around them | {BODY_NESTING} levels | refused when sent |"
        ),
        format!("| nesting of these, over AMQP | {} levels each | dead letter |", grouped(EVENT_NESTING)),
        format!("| one secret | {} | refused when sent |", size(MAX_ENV_VALUE)),
        format!(
            "| secrets of the workspace, of a script, of a test run | {} each | refused when sent |",
            size(SECRET_SET_BYTES)
        ),
        format!("| the whole body of a request | {} | refused when sent |", size(MAX_BODY_BYTES)),
        format!("| result | {} | `result_too_large` |", size(limits.result_bytes)),
        format!(
            "| logs | {} or {} lines | none; output is truncated and the last line says so |",
            size(limits.log_bytes),
            grouped(limits.log_lines)
        ),
        format!("| requests | {} | an exception in the script |", limits.fetches),
        format!("| one response | {} | an exception in the script |", size(limits.response_bytes)),
        format!("any JSON value up to {};", size(limits.result_bytes)),
    ];
    for row in rows {
        assert!(page.contains(&row), "script-contract.md lacks {row}");
    }
}

#[test]
fn the_page_on_events_states_the_limits_of_the_code() {
    let input = size(INPUT_BYTES);
    let sentence = format!(
        "`event` and `context` together {input}, `variables` {input}. Each may be nested at most {} levels deep; over HTTP at \
         most {BODY_NESTING}, including the body.",
        grouped(EVENT_NESTING)
    );
    assert!(page("events.md").contains(&sentence), "events.md lacks {sentence}");
}

#[test]
fn the_document_states_the_limits_of_the_code() {
    let document = serde_json::to_value(document()).unwrap();
    let text = document.to_string();
    for stated in [
        format!("`event` and `context` together may have {}", size(INPUT_BYTES)),
        format!("over the script's defaults; {} at most", size(INPUT_BYTES)),
        format!("Secrets by key, {} together", size(SECRET_SET_BYTES)),
        format!("JavaScript or TypeScript, {} at most", size(CODE_BYTES)),
        format!(
            "{} at most, and {} with the workspace's other values",
            size(MAX_ENV_VALUE),
            size(SECRET_SET_BYTES)
        ),
        format!("The body is larger than {}", size(MAX_BODY_BYTES)),
        format!("Lists leave out bodies over {}", size(dead_letter::MAX_LISTED_BODY.unsigned_abs() as usize)),
        format!("of which the first {} are kept", size(dead_letter::MAX_KEPT_BODY)),
    ] {
        assert!(text.contains(&stated), "the document lacks {stated:?}");
    }
    let mut found = 0;
    for schema in document["components"]["schemas"].as_object().unwrap().values() {
        let properties = &schema["properties"];
        for (name, bound, limit) in
            [("code", "maxLength", CODE_BYTES), ("ids", "maxItems", dead_letter::MAX_IDS)]
        {
            if let Some(stated) = properties[name].get(bound) {
                assert_eq!(stated, &Value::from(limit), "{name}: {schema}");
                found += 1;
            }
        }
    }
    assert!(found >= 6, "{found} schemas");
    let mut found = 0;
    for operation in
        document["paths"].as_object().unwrap().values().flat_map(|path| path.as_object().unwrap().values())
    {
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let (bound, limit) = match parameter["name"].as_str().unwrap() {
                "Idempotency-Key" => ("maxLength", idempotency_key::MAX_BYTES as u64),
                "per_page" => ("maximum", MAX_PER_PAGE.unsigned_abs()),
                _ => continue,
            };
            assert_eq!(parameter["schema"][bound], Value::from(limit), "{parameter}");
            found += 1;
        }
    }
    assert!(found >= 9, "{found} parameters");
}

#[test]
fn the_security_page_states_the_limit_of_signatures() {
    let stated = format!("a time that may differ by {CLOCK_SKEW_S} s");
    assert!(page("security.md").contains(&stated), "security.md lacks {stated}");
}
