//! Tests that every documented metric is recorded.

use shared::telemetry::metrics::{ALL, Program};
use std::{
    fs,
    path::{Path, PathBuf},
};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Appends the text of every Rust source under `folder`, without white space and unit tests.
fn sources(folder: &Path, into: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(path).unwrap();
            let program = text.split("#[cfg(test)]").next().unwrap();
            into.extend(program.split_whitespace());
        }
    }
}

#[test]
fn every_metric_is_recorded_by_its_documented_programs() {
    let text_of = |folder: &str| {
        let mut text = String::new();
        sources(&root().join(folder), &mut text);
        text
    };
    let (api, worker, shared) = (text_of("api/src"), text_of("worker/src"), text_of("shared/src"));
    let definitions = fs::read_to_string(root().join("shared/src/telemetry/metrics.rs")).unwrap();
    let mut checked = 0;
    for metric in ALL {
        let line = definitions.lines().find(|line| line.contains(&format!("= \"{}\"", metric.name))).unwrap();
        let constant = line.split(" = ").next().unwrap().split(' ').next_back().unwrap();
        let recorded = |text: &str| text.contains(&format!("{constant}.with"));
        let (by_api, by_worker) = (recorded(&api), recorded(&worker));
        let as_documented = match metric.program {
            _ if recorded(&shared) => true,
            Program::Api => by_api && !by_worker,
            Program::Worker => by_worker && !by_api,
            Program::Both => by_api && by_worker,
        };
        assert!(as_documented, "{}: api {by_api}, worker {by_worker}", metric.name);
        checked += 1;
    }
    assert!(checked > 30, "{checked}");
}
