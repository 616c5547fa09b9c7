//! Comments in which the author lists functions: `/* uses: a, b */` or `// uses: a, b`.

use crate::parse::START;
use swc_common::{BytePos, Span};

const MARKER: &str = "uses:";

/// Collects the names of all such comments, with the span of each name.
///
/// The text is not tokenised: a string that looks like such a comment only adds names.
pub(super) fn names(text: &str, base: u32) -> Vec<(String, Span)> {
    debug_assert!(base >= START);
    let mut names = Vec::new();
    let mut from = 0;
    while let Some(at) = text[from..].find(MARKER).map(|at| from + at) {
        let start = at + MARKER.len();
        from = start;
        let before = text[..at].trim_end_matches([' ', '\t', '*', '@']);
        if !before.ends_with('/') {
            continue;
        }
        let rest = &text[start..];
        let end = if text[..at].trim_end_matches([' ', '\t', '@']).ends_with("//") {
            rest.find(['\n', '\r'])
        } else {
            rest.find("*/")
        };
        // A list inside a list adds no other names.
        from = start + end.unwrap_or(rest.len());
        let list = &text[start..from];
        for name in list
            .split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$'))
            .filter(|name| !name.is_empty())
        {
            let offset = name.as_ptr().addr() - text.as_ptr().addr();
            names.push((name.to_owned(), span(base, offset, name.len())));
        }
    }
    names
}

fn span(base: u32, offset: usize, length: usize) -> Span {
    let position = |offset: usize| BytePos(base + u32::try_from(offset).unwrap_or(0));
    Span::new(position(offset), position(offset + length))
}

#[cfg(test)]
mod tests {
    fn listed(text: &str) -> Vec<String> {
        super::names(text, 1).into_iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn both_kinds_of_comments_list_names() {
        assert_eq!(listed("/* uses: a, b */ // uses: c d\n e"), ["a", "b", "c", "d"]);
        assert_eq!(listed("/** @uses: a,\n b */"), ["a", "b"]);
        assert!(listed("// it uses: nothing\nx.uses: 3").is_empty());
    }

    #[test]
    fn lists_within_a_list_are_read_once() {
        let text = format!("/*{}*/", "/* uses: a ".repeat(20_000));
        assert_eq!(listed(&text).len(), 39_999);
    }
}
