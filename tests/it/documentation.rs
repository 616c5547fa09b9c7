//! The pages of the documentation, as far as a program can judge them.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Folders that hold no page of ours.
const SKIPPED: [&str; 5] = [".git", ".dev", "node_modules", "target", ".sqlx"];

fn pages(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && !path.is_symlink() && !SKIPPED.contains(&name.as_str()) {
            pages(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
}

/// Targets of the links of a page; what stands in code is no link.
fn links(page: &str) -> Vec<&str> {
    let mut fenced = false;
    let prose = page.lines().filter(|line| {
        fenced ^= line.trim_start().starts_with("```");
        !fenced && !line.starts_with("    ")
    });
    prose
        .flat_map(|line| line.split("](").skip(1))
        .filter_map(|rest| rest.split_once(')'))
        .map(|(target, _)| target)
        .collect()
}

/// The anchor that a heading gets on the usual sites: lower case, words joined by `-`, nothing else.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    text.chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

#[test]
fn every_link_leads_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap();
    let mut found = Vec::new();
    pages(&root, &mut found);
    let (mut checked, mut dead) = (0, Vec::new());
    for path in &found {
        let text = fs::read_to_string(path).unwrap();
        for link in
            links(&text).into_iter().filter(|link| !link.contains("://") && !link.starts_with("mailto:"))
        {
            let (file, fragment) =
                link.split_once('#').map_or((link, None), |(file, part)| (file, Some(part)));
            let target = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            let leads = target.exists()
                && fragment.is_none_or(|fragment| {
                    let text = fs::read_to_string(&target).unwrap_or_default();
                    text.lines().filter(|line| line.starts_with('#')).any(|line| anchor(line) == fragment)
                });
            if !leads {
                dead.push(format!("{}: {link}", path.strip_prefix(&root).unwrap().display()));
            }
            checked += 1;
        }
    }
    assert_eq!(dead, Vec::<String>::new());
    assert!(
        found.len() > 20 && checked > 40,
        "{} pages, {checked} links: not read as they should be",
        found.len()
    );
}
