//! What the documentation of metrics promises is recorded.

use std::{
    fs,
    path::{Path, PathBuf},
};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The text of every Rust source under `folder`, without white space.
fn sources(folder: &Path, into: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.extend(fs::read_to_string(path).unwrap().split_whitespace());
        }
    }
}

#[test]
fn every_metric_is_recorded_somewhere() {
    let mut text = String::new();
    for folder in ["api/src", "worker/src", "shared/src"] {
        sources(&root().join(folder), &mut text);
    }
    let definitions = fs::read_to_string(root().join("shared/src/telemetry/metrics.rs")).unwrap();
    let names =
        definitions.lines().filter_map(|line| line.split_once(" = \"runnerctl_")?.0.split(' ').next_back());
    let names: Vec<_> = names.collect();
    assert!(names.len() > 30, "{names:?}");
    let silent: Vec<_> = names.into_iter().filter(|name| !text.contains(&format!("{name}.with"))).collect();
    assert_eq!(silent, [""; 0], "defined and documented, but never recorded");
}
