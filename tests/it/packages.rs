//! npm packages, from a script saved over HTTP to its run on a worker.

use e2e::stack::Stack;
use serde_json::{Value, json};
use std::{path::Path, time::Duration};
use test_support::{Registry, node_modules};

const SCRIPT: &str = "import { twice } from 'numbers';
import shout, { type Loudness } from '@words/shout@1';

export async function main({ event }: any): Promise<Loudness> {
    return { text: shout(event.text), number: twice(event.number) };
}";

/// Returns the path of esbuild's native program, as in the image.
fn esbuild() -> String {
    let runtime = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/sandbox/runtime");
    let modules = node_modules(&runtime, Path::new(env!("CARGO_TARGET_TMPDIR")));
    let platform = if cfg!(target_arch = "aarch64") { "linux-arm64" } else { "linux-x64" };
    modules.join("@esbuild").join(platform).join("bin/esbuild").display().to_string()
}

async fn registry() -> Registry {
    let registry = Registry::start().await;
    registry.publish("numbers", "2.1.0", &[("index.js", "exports.twice = (n) => n * 2;")], json!({}));
    let esm = [
        ("package.json", r#"{"type":"module","exports":"./main.js"}"#),
        (
            "main.js",
            "import { twice } from 'numbers';\nexport default (text) => `${text}${'!'.repeat(twice(1))}`;",
        ),
    ];
    registry.publish("@words/shout", "1.0.3", &esm, json!({ "dependencies": { "numbers": "^2" } }));
    registry.publish("reader", "1.0.0", &[("index.js", "module.exports = require('fs');")], json!({}));
    registry
}

/// Saves a script that must be rejected. Returns `(rule, line, message)` of each finding.
async fn refused(stack: &Stack, code: &str) -> anyhow::Result<Vec<(String, u64, String)>> {
    let script = json!({
        "name": "refused",
        "code": code,
        "code_type": "main_fn",
        "trigger_type": "automation",
    });
    let (status, answer) = stack.client.post("/scripts/", &script).await?;
    assert_eq!(status, 400, "{answer}");
    let findings = answer["diagnostics"].as_array().unwrap_or_else(|| panic!("no diagnostics in {answer}"));
    let text = |found: &Value, field: &str| found[field].as_str().unwrap_or_default().to_owned();
    let found = |found: &Value| {
        (text(found, "rule"), found["line"].as_u64().unwrap_or_default(), text(found, "message"))
    };
    Ok(findings.iter().map(found).collect())
}

#[tokio::test]
async fn a_script_with_packages_runs_without_the_registry() -> anyhow::Result<()> {
    let registry = registry().await;
    let esbuild = esbuild();
    let url = registry.url();
    let settings =
        [("SCRIPT_NPM", "1"), ("NPM_REGISTRY_URL", url.as_str()), ("ESBUILD_PATH", esbuild.as_str())];
    let stack = Stack::start(&settings).await?;
    let script = stack.client.create_script("imports", SCRIPT).await?;
    let requests = registry.requests();
    assert!(requests.iter().any(|path| path == "numbers/-/2.1.0.tgz"), "{requests:?}");

    let found = refused(&stack, "import fs from 'reader';\nexport const main = () => fs;").await?;
    let message = "`reader` needs the Node.js module `fs`, which is not available in scripts.";
    assert_eq!(found, [("package".to_owned(), 1, message.to_owned())]);

    let requests = registry.requests().len();
    let event = json!({ "text": "hey", "number": 21 });
    let execution = stack.client.execute(&script, event).await?;
    let done = stack.client.terminal(&execution, Duration::from_secs(30)).await?;
    assert_eq!(done["status"], "completed", "{done}");
    assert_eq!(done["result"], json!({ "text": "hey!!", "number": 42 }));
    assert_eq!(registry.requests().len(), requests, "a run asks the registry nothing");
    Ok(())
}

#[tokio::test]
async fn without_packages_an_import_is_refused_at_its_line() -> anyhow::Result<()> {
    let stack = Stack::start(&[]).await?;
    let found = refused(&stack, SCRIPT).await?;
    let places: Vec<_> = found.iter().map(|(rule, line, _)| (rule.as_str(), *line)).collect();
    assert_eq!(places, [("module-system", 1), ("module-system", 2)]);
    assert!(found[0].2.starts_with("Modules can't be loaded"), "{found:?}");
    Ok(())
}
