//! Rule for the slugs of workspaces, on every surface that takes one.

/// Maximum length of a slug, in characters.
const MAX_SLUG_CHARACTERS: usize = 255;
/// Text of the rule, for error messages.
pub const SLUG_RULE: &str = "must be 1 to 255 visible ASCII characters without spaces";

/// Returns true if a text can be the slug of a workspace.
pub fn is_slug(text: &str) -> bool {
    (1..=MAX_SLUG_CHARACTERS).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slug_is_short_and_visible() {
        for slug in ["demo", "a", "my-team_2", &"x".repeat(MAX_SLUG_CHARACTERS)] {
            assert!(is_slug(slug), "{slug}");
        }
        for text in ["", "a b", "a\n", "a\0", "caf\u{e9}", &"x".repeat(MAX_SLUG_CHARACTERS + 1)] {
            assert!(!is_slug(text), "{text:?}");
        }
        assert!(SLUG_RULE.contains(&MAX_SLUG_CHARACTERS.to_string()));
    }
}
