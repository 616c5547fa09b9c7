//! Scripts in the forms that Plane documents for its runner, which build unchanged and without diagnostics.

use super::MAIN;
use builder::build;

const SCRIPTS: &[(&str, &[&str])] = &[
    (include_str!("../../../../../tests/examples/close_parent.ts"), &["getSiblings"]),
    (include_str!("../../../../../tests/examples/copy_to_project.ts"), &[]),
    (include_str!("../../../../../tests/examples/slack_on_review.ts"), &["postToSlack"]),
    (include_str!("../../../../../tests/examples/require_assignee.ts"), &[]),
];

#[test]
fn published_scripts_build_without_an_edit() {
    for (text, functions) in SCRIPTS {
        let report = build(MAIN, text);
        assert_eq!(report.diagnostics, [], "{text}");
        assert_eq!(report.build.expect("nothing is wrong").function_names, *functions);
    }
}
