//! Detection of JSX, so that the message names JSX instead of the token at which the parser failed.
//!
//! Invariant: nothing here recurses, and no JSX parser is used. The text between tags has no tokens, so the bound of
//! [`crate::nesting`] would not hold for it: `<a>//</a>;((((…` hides brackets that a JSX parser sees.

use crate::{diagnostic::Finding, nesting, rule};
use std::ops::Range;
use swc_common::{BytePos, Span};

/// Maximum number of tags examined. Real JSX is recognised at its first tags; the limit bounds the work on hostile
/// texts.
const MAX_TAGS: usize = 32;

/// Returns a finding for the first element or fragment that starts before `end`, where parsing failed. `base` is the
/// position of the text's first byte.
pub(super) fn check(text: &str, end: usize, base: u32) -> Option<Finding> {
    let element = first_element(text, end)?;
    let position = |offset: usize| Some(BytePos(base + u32::try_from(offset).ok()?));
    let message = "JSX is not supported: scripts have no user interface. Build a string instead.";
    Some(Finding::error(rule::JSX, Span::new(position(element.start)?, position(element.end)?), message))
}

fn first_element(text: &str, end: usize) -> Option<Range<usize>> {
    nesting::prefix_angles(text)
        .take_while(|&start| start < end)
        .take(MAX_TAGS)
        .find_map(|start| Some(start..start + length(&text[start..])?))
}

/// Length of the element at the start of `text`, up to its first closing tag. Type assertions and type parameters look
/// like an opening tag, but have no closing tag.
fn length(text: &str) -> Option<usize> {
    let name_end = 1 + text[1..].find(|c: char| !(c.is_alphanumeric() || "_$.:-".contains(c)))?;
    let (name, rest) = (&text[1..name_end], &text[name_end..]);
    if !rest.starts_with('>') && (name.is_empty() || !starts_attributes(rest)) {
        return None;
    }
    let closing = text.match_indices("</").take(MAX_TAGS).find_map(|(at, _)| {
        let after = text[at + 2..].strip_prefix(name)?.trim_start().strip_prefix('>')?;
        Some(text.len() - after.len())
    });
    let closes_itself = || rest.find("/>").map(|at| name_end + at + 2);
    if rest.starts_with('>') { closing } else { closing.or_else(closes_itself) }
}

/// Returns whether the text after a tag's name is an attribute or `/>`.
fn starts_attributes(rest: &str) -> bool {
    let attributes = rest.trim_start();
    if attributes.len() == rest.len() || attributes.starts_with('/') {
        return attributes.starts_with("/>");
    }
    let is_generic = attributes.starts_with("extends ");
    !is_generic && attributes.starts_with(|c: char| c == '{' || c == '_' || c == '$' || c.is_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element(text: &str) -> Option<&str> {
        first_element(text, text.len()).map(|found| &text[found])
    }

    #[test]
    fn elements_and_fragments_are_found_in_operand_position() {
        assert_eq!(element("return <b>x</b>;"), Some("<b>x</b>"));
        assert_eq!(element("f(<a.b c=\"d\" {...e} />)"), Some("<a.b c=\"d\" {...e} />"));
        assert_eq!(element("() => <br/>"), Some("<br/>"));
        assert_eq!(element("a && <>{b}</>"), Some("<>{b}</>"));
        assert_eq!(element("x = <li\n  key={1}>\n</li >"), Some("<li\n  key={1}>\n</li >"));
    }

    #[test]
    fn types_comparisons_and_html_in_strings_are_not_jsx() {
        for text in [
            "const f = <T,>(a: T) => '</T>'",
            "const f = <T extends A>(a: T) => a; '/>'",
            "const a = <any>b; c = '</b>'",
            "if (a <b || c> d) e('</b>')",
            "const text = `<p>${a}</p>`; // <p>x</p>",
        ] {
            assert_eq!(element(text), None, "{text}");
        }
    }

    #[test]
    fn an_element_after_the_first_error_is_not_its_cause() {
        assert_eq!(first_element("let = 1; x = <b>x</b>", 4), None);
    }
}
