//! Rule for the slugs of workspaces, on every surface that takes one.

/// Maximum length of a slug, in characters.
const MAX_SLUG_CHARACTERS: usize = 255;
/// Text of the rule, for error messages.
pub const SLUG_RULE: &str = "must be 1 to 255 visible ASCII characters without spaces";

/// Returns true if a text can be the slug of a workspace.
pub fn is_slug(text: &str) -> bool {
    (1..=MAX_SLUG_CHARACTERS).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Returns true if a routing key begins with a slug, and goes on with a dot or ends there. A slug may contain dots.
pub fn is_routed(routing_key: &str, slug: &str) -> bool {
    routing_key.strip_prefix(slug).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_routing_key_begins_with_the_whole_slug() {
        for (key, slug) in
            [("demo.x", "demo"), ("demo", "demo"), ("demo.prod.x", "demo.prod"), ("a..x", "a.")]
        {
            assert!(is_routed(key, slug), "{key} {slug}");
        }
        for (key, slug) in [("demo-2.x", "demo"), ("demo.x", "demo.prod"), ("x.demo.y", "demo"), ("", "demo")]
        {
            assert!(!is_routed(key, slug), "{key} {slug}");
        }
    }

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
