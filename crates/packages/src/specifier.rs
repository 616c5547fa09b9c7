//! Import specifiers: the name of a package, with an optional version and an optional subpath.

use crate::range::Range;

/// Import specifier: `name`, `name@range`, `name/part` or `name@range/part`, where the name may have a scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Specifier {
    pub(crate) name: String,
    /// Version range or tag. `latest` if the specifier has none.
    pub(crate) range: String,
    /// Subpath with its leading slash, or empty.
    pub(crate) part: String,
}

impl Specifier {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let after_scope =
            if text.starts_with('@') { text.find('/').map_or(text.len(), |at| at + 1) } else { 0 };
        let part_at = text[after_scope..].find('/').map_or(text.len(), |at| after_scope + at);
        let (package, part) = text.split_at(part_at);
        let (name, range) = match package[1.min(package.len())..].find('@') {
            Some(at) => (&package[..=at], &package[at + 2..]),
            None => (package, "latest"),
        };
        if !is_name(name) {
            return Err(format!("`{text}` is not the name of a package."));
        }
        if range.is_empty() || (!is_tag(range) && Range::parse(range).is_none()) {
            return Err(format!(
                "`{range}` is not a version of `{name}`; write for instance `{name}@1.2.3`."
            ));
        }
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte);
        if !part.bytes().all(plain) || part.split('/').any(|step| step == ".." || step == ".") {
            return Err(format!("`{part}` is not a part of a package."));
        }
        Ok(Self { name: name.to_owned(), range: range.to_owned(), part: part.to_owned() })
    }
}

/// Returns whether the text is a valid package name by the registry's rules: lower case, URL-safe, at most one scope,
/// no leading dot.
pub(crate) fn is_name(text: &str) -> bool {
    let word = |word: &str| {
        !word.is_empty()
            && !word.starts_with(['.', '_'])
            && word
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-._~".contains(&byte))
    };
    let named = match text.strip_prefix('@') {
        Some(scoped) => scoped.split_once('/').is_some_and(|(scope, name)| word(scope) && word(name)),
        None => word(text),
    };
    named && text.len() <= 214 && text != "node_modules"
}

/// Returns whether the text is a tag, a name for a version such as `latest`.
pub(crate) fn is_tag(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && !text.starts_with(['v', 'x', 'X'])
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

/// Packages that scripts may import. Transitive dependencies are not checked.
#[derive(Clone, Debug, Default)]
pub struct Allowed {
    /// Names, or `@scope/*`. Empty allows all.
    patterns: Vec<String>,
}

impl Allowed {
    pub(crate) fn parse(patterns: &[String]) -> Result<Self, String> {
        for pattern in patterns {
            let name = pattern.strip_suffix("/*").map_or(pattern.clone(), |scope| format!("{scope}/x"));
            if !is_name(&name) {
                return Err("must be a list of package names or `@scope/*`, separated by commas".to_owned());
            }
        }
        Ok(Self { patterns: patterns.to_vec() })
    }

    pub(crate) fn check(&self, name: &str) -> Result<(), String> {
        let fits = |pattern: &String| match pattern.strip_suffix('*') {
            Some(scope) => name.starts_with(scope),
            None => name == pattern,
        };
        if self.patterns.is_empty() || self.patterns.iter().any(fits) {
            return Ok(());
        }
        Err(format!(
            "The package `{name}` is not among those that may be used here: {}.",
            self.patterns.join(", ")
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<[String; 3], String> {
        Specifier::parse(text).map(|found| [found.name, found.range, found.part])
    }

    #[test]
    fn a_specifier_is_a_name_with_optional_range_and_path() {
        for (text, expected) in [
            ("lodash", ["lodash", "latest", ""]),
            ("lodash/fp", ["lodash", "latest", "/fp"]),
            ("lodash@4", ["lodash", "4", ""]),
            ("lodash@^4.17.0/fp/map.js", ["lodash", "^4.17.0", "/fp/map.js"]),
            ("@a/b", ["@a/b", "latest", ""]),
            ("@a/b@next/c", ["@a/b", "next", "/c"]),
        ] {
            assert_eq!(parsed(text), Ok(expected.map(str::to_owned)), "{text}");
        }
        for text in [
            "",
            "@",
            "@a",
            "Lodash",
            "a b",
            "lodash/../x",
            "lodash@",
            "lodash@file:x",
            ".a",
            "a@1@2",
            "a/b%2e",
        ] {
            assert!(parsed(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_list_allows_names_and_scopes() {
        let allowed = Allowed::parse(&["lodash".to_owned(), "@date/*".to_owned()]).unwrap();
        assert!(allowed.check("lodash").is_ok() && allowed.check("@date/fns").is_ok());
        assert!(allowed.check("lodash-es").is_err() && allowed.check("@dates/fns").is_err());
        assert!(Allowed::default().check("anything").is_ok());
        assert!(Allowed::parse(&["*".to_owned()]).is_err());
    }
}
