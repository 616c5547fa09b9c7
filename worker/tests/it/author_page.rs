//! Examples of `docs/script-contract.md`: each is run, and must end as the page says.

use super::sandbox::{job_of, pool, raw, run, short_limits};
use builder::{Unit, build};
use serde_json::Value;
use shared::execution::CodeType;
use std::{collections::BTreeMap, fs, path::Path};

const INPUT: &str = r#"{
    "event": {
        "event_type": "work_item.updated",
        "payload": { "data": { "name": "Fix the login page" }, "previous_attributes": { "state": "In Progress" } }
    },
    "context": { "trigger_type": "automation" }
}"#;
const HOURS_BETWEEN: &str = "function hoursBetween({ from, to }) { return Math.round((Date.parse(to) - Date.parse(from)) / 3_600_000); }";

/// Block of code, with its first line on the page and the outcome that it states.
struct Example<'a> {
    line: usize,
    code_type: CodeType,
    code: String,
    says: &'a str,
}

fn examples(page: &str) -> Vec<Example<'_>> {
    let mut examples = Vec::new();
    let mut lines = page.lines().zip(1..);
    while let Some((opening, line)) = lines.next() {
        let Some(language) = opening.strip_prefix("```ts") else { continue };
        let code_type = if language == " raw" { CodeType::Raw } else { CodeType::MainFn };
        let block: Vec<_> = lines.by_ref().map(|(text, _)| text).take_while(|text| *text != "```").collect();
        let (says, code) = block.split_last().unwrap();
        examples.push(Example { line, code_type, code: code.join("\n"), says });
    }
    examples
}

#[tokio::test]
async fn every_example_of_the_page_ends_as_stated() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/script-contract.md");
    let page = fs::read_to_string(page).unwrap();
    let function =
        build(Unit::Function { name: "hoursBetween", parameters: &[] }, HOURS_BETWEEN).build.unwrap();
    let pool = pool(1).await;
    let examples = examples(&page);
    assert!(examples.len() >= 12, "the page is not read as it should be");
    for Example { line, code_type, code, says } in examples {
        let mut job = job_of(code_type, &code);
        job.limits = short_limits();
        job.input = raw(INPUT);
        job.variables = raw(r#"{"days": 14}"#);
        job.env = BTreeMap::from([("SLACK_TOKEN".to_owned(), "xoxb-1234".to_owned())]);
        job.functions = BTreeMap::from([("hoursBetween".to_owned(), function.code.clone())]);
        let finished = run(&pool, job).await;
        if let Some(result) = says.strip_prefix("// → ") {
            let result: Value = serde_json::from_str(result).unwrap();
            assert_eq!(finished.result(), result, "the example at line {line}");
        } else {
            let error = finished.error();
            let position = error.line.zip(error.column).map(|(line, column)| format!(" {line}:{column}"));
            let ended = |position: &str| format!("// ✗ {}{position}", error.code.as_str());
            let as_said = [ended(""), ended(&position.unwrap_or_default())];
            assert!(as_said.iter().any(|ended| ended == says), "the example at line {line}: {error:?}");
        }
    }
}
