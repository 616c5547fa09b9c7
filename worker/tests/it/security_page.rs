//! Tests that `docs/security.md` and the README's section of that name quote: each must exist.

use std::{fs, path::Path};

/// Collects the texts of all Rust files below a folder.
fn sources(folder: &Path, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push((path.display().to_string(), fs::read_to_string(&path).unwrap()));
        }
    }
}

#[test]
fn every_test_it_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut found = Vec::new();
    for folder in ["api", "crates", "shared", "tests/it", "worker"] {
        sources(&root.join(folder), &mut found);
    }
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let (_, section) = readme.split_once("\n## Security\n").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let page = format!("{}\n{section}", fs::read_to_string(root.join("docs/security.md")).unwrap());
    // Of the pieces between backticks, every other one is code.
    let named: Vec<_> = page.split('`').skip(1).step_by(2).collect();
    let (mut tests, mut scripts) = (0, 0);
    for name in named {
        if let Some(script) = name.strip_prefix("hostile/").filter(|script| *script != "x.js") {
            assert!(root.join("worker/tests/hostile").join(script).exists(), "no {script}");
            scripts += 1;
        } else if let Some((module, test)) = name.rsplit_once("::").filter(|(module, _)| *module != "module")
        {
            // `masking.rs` and `masking/tests.rs` are `masking::tests::…`, `egress/mod.rs` is `egress::tests::…`, `it/plane.rs` is
            // `plane::…`.
            let own_file = format!("/{}.rs", module.replace("::", "/"));
            let module = module.trim_end_matches("::tests");
            let holds = |(path, text): &(String, String)| {
                (path.ends_with(&format!("/{module}.rs"))
                    || path.ends_with(&format!("/{module}/mod.rs"))
                    || path.ends_with(&own_file))
                    && text.contains(&format!("fn {test}("))
            };
            assert!(found.iter().any(holds), "no {name}");
            tests += 1;
        }
    }
    assert!(
        tests > 40 && scripts > 10,
        "{tests} tests and {scripts} scripts: the page is not read as it should be"
    );
}
