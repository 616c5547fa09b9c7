//! Version ranges in npm's syntax: `^1.2`, `~1.2.3`, `1.x`, `>=1 <2 || 3`, `1.2 - 2.3`.

use semver::Version;

/// Version range: a list of alternatives. A version must satisfy all comparators of at least one alternative.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Range(Vec<Vec<Comparator>>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Comparator {
    operator: Operator,
    version: Version,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Less,
    LessOrEqual,
    Equal,
    Greater,
    GreaterOrEqual,
}

impl Range {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text.len() > 256 {
            return None;
        }
        text.split("||").map(|alternative| comparators(alternative.trim())).collect::<Option<_>>().map(Self)
    }

    /// Returns whether the version is in the range. A pre-release is only in ranges that name a pre-release of the same
    /// version.
    pub(crate) fn holds(&self, version: &Version) -> bool {
        self.0.iter().any(|comparators| {
            let named = |comparator: &Comparator| {
                let bound = &comparator.version;
                !bound.pre.is_empty()
                    && (bound.major, bound.minor, bound.patch)
                        == (version.major, version.minor, version.patch)
            };
            comparators.iter().all(|comparator| comparator.holds(version))
                && (version.pre.is_empty() || comparators.iter().any(named))
        })
    }
}

impl Comparator {
    fn holds(&self, version: &Version) -> bool {
        let order = version.cmp_precedence(&self.version);
        match self.operator {
            Operator::Less => order.is_lt(),
            Operator::LessOrEqual => order.is_le(),
            Operator::Equal => order.is_eq(),
            Operator::Greater => order.is_gt(),
            Operator::GreaterOrEqual => order.is_ge(),
        }
    }
}

fn comparators(text: &str) -> Option<Vec<Comparator>> {
    if let Some((from, to)) = text.split_once(" - ") {
        let (from, to) = (Partial::parse(from.trim())?, Partial::parse(to.trim())?);
        let mut both = from.at_least();
        both.extend(to.at_most());
        return Some(both);
    }
    // `>= 1.2` is one comparator.
    let mut joined = text.to_owned();
    for operator in [">", "<", "=", "^", "~"] {
        while joined.contains(&format!("{operator} ")) {
            joined = joined.replace(&format!("{operator} "), operator);
        }
    }
    let mut found = Vec::new();
    for word in joined.split_whitespace() {
        found.extend(one(word)?);
    }
    Some(found)
}

fn one(word: &str) -> Option<Vec<Comparator>> {
    let rest = word.trim_start_matches(['<', '>', '=', '^', '~']);
    let partial = Partial::parse(rest)?;
    Some(match &word[..word.len() - rest.len()] {
        "" | "=" => partial.exactly(),
        "^" => partial.caret(),
        "~" | "~>" => partial.tilde(),
        ">=" => partial.at_least(),
        "<=" => partial.at_most(),
        "<" => vec![Comparator { operator: Operator::Less, version: partial.lowest() }],
        ">" => match partial.above() {
            // `>1.2` starts at 1.3.
            Some(next) if partial.patch.is_none() => {
                vec![Comparator { operator: Operator::GreaterOrEqual, version: next }]
            }
            Some(_) => vec![Comparator { operator: Operator::Greater, version: partial.lowest() }],
            None => vec![Comparator { operator: Operator::Less, version: Version::new(0, 0, 0) }],
        },
        _ => return None,
    })
}

/// Version whose last numbers may be missing or `x`.
struct Partial {
    major: Option<u64>,
    minor: Option<u64>,
    patch: Option<u64>,
    pre: semver::Prerelease,
}

impl Partial {
    fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix('v').unwrap_or(text);
        let text = text.split('+').next().unwrap_or(text);
        let (numbers, pre) = text.split_once('-').unwrap_or((text, ""));
        let mut fields = [None; 3];
        let mut open = false;
        for (index, word) in numbers.split('.').enumerate() {
            let field = fields.get_mut(index)?;
            match word {
                "" if numbers.is_empty() => open = true,
                "x" | "X" | "*" => open = true,
                _ if open => return None,
                number => *field = Some(number.parse().ok().filter(|&number: &u64| number < 1 << 53)?),
            }
        }
        let [major, minor, patch] = fields;
        if !pre.is_empty() && patch.is_none() {
            return None;
        }
        Some(Self { major, minor, patch, pre: semver::Prerelease::new(pre).ok()? })
    }

    fn lowest(&self) -> Version {
        let number = |field: Option<u64>| field.unwrap_or(0);
        let mut version = Version::new(number(self.major), number(self.minor), number(self.patch));
        version.pre = self.pre.clone();
        version
    }

    /// First version after all those that this one covers. `None` if it covers all.
    fn above(&self) -> Option<Version> {
        Some(match (self.major?, self.minor, self.patch) {
            (major, None, _) => Version::new(major + 1, 0, 0),
            (major, Some(minor), None) => Version::new(major, minor + 1, 0),
            (major, Some(minor), Some(patch)) => Version::new(major, minor, patch + 1),
        })
    }

    fn at_least(&self) -> Vec<Comparator> {
        vec![Comparator { operator: Operator::GreaterOrEqual, version: self.lowest() }]
    }

    fn at_most(&self) -> Vec<Comparator> {
        if self.patch.is_some() {
            return vec![Comparator { operator: Operator::LessOrEqual, version: self.lowest() }];
        }
        self.above().map(below).into_iter().collect()
    }

    fn exactly(&self) -> Vec<Comparator> {
        if self.patch.is_some() {
            return vec![Comparator { operator: Operator::Equal, version: self.lowest() }];
        }
        self.up_to(self.above())
    }

    fn caret(&self) -> Vec<Comparator> {
        let version = self.lowest();
        let end = match (self.major, self.minor, self.patch) {
            (None, ..) => None,
            (Some(0), Some(0), Some(patch)) => Some(Version::new(0, 0, patch + 1)),
            (Some(0), Some(minor), _) => Some(Version::new(0, minor + 1, 0)),
            _ => Some(Version::new(version.major + 1, 0, 0)),
        };
        self.up_to(end)
    }

    fn tilde(&self) -> Vec<Comparator> {
        let version = self.lowest();
        let end = match (self.major, self.minor) {
            (None, _) => None,
            (Some(major), None) => Some(Version::new(major + 1, 0, 0)),
            _ => Some(Version::new(version.major, version.minor + 1, 0)),
        };
        self.up_to(end)
    }

    fn up_to(&self, end: Option<Version>) -> Vec<Comparator> {
        let mut comparators = self.at_least();
        comparators.extend(end.map(below));
        comparators
    }
}

/// Upper bound of a range, which also excludes pre-releases of the bound.
fn below(mut version: Version) -> Comparator {
    version.pre = semver::Prerelease::new("0").expect("`0` is a pre-release");
    Comparator { operator: Operator::Less, version }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(range: &str, version: &str) -> bool {
        Range::parse(range).unwrap_or_else(|| panic!("{range}")).holds(&Version::parse(version).unwrap())
    }

    #[test]
    fn ranges_are_read_as_npm_reads_them() {
        for (range, inside, outside) in [
            ("1.2.3", "1.2.3", "1.2.4"),
            ("=1.2.3", "1.2.3+build", "1.2.2"),
            ("^1.2.3", "1.9.0", "2.0.0"),
            ("^1.2.3", "1.2.3", "1.2.2"),
            ("^0.2.3", "0.2.9", "0.3.0"),
            ("^0.0.3", "0.0.3", "0.0.4"),
            ("^0", "0.9.0", "1.0.0"),
            ("^0.0", "0.0.9", "0.1.0"),
            ("~1.2.3", "1.2.9", "1.3.0"),
            ("~1", "1.9.0", "2.0.0"),
            ("1", "1.9.9", "2.0.0"),
            ("1.x", "1.0.0", "2.0.0"),
            ("1.2.*", "1.2.7", "1.3.0"),
            ("v1.2.3", "1.2.3", "1.2.4"),
            (">=1.2 <2", "1.2.0", "2.0.0"),
            (">= 1.2.0 < 2.0.0", "1.9.0", "1.1.0"),
            (">1.2", "1.3.0", "1.2.9"),
            ("<=1.2", "1.2.9", "1.3.0"),
            ("1.2 - 2.3", "2.3.9", "2.4.0"),
            ("1.2.3 - 2.3.4", "2.3.4", "2.3.5"),
            ("^1 || ^3", "3.1.0", "2.0.0"),
            ("^1.2.3-beta.2", "1.2.3-beta.4", "1.2.4-beta.2"),
            ("^1.2.3-beta.2", "1.2.3", "2.0.0-alpha"),
            ("<2.0.0", "1.9.0", "2.0.0-alpha"),
        ] {
            assert!(holds(range, inside), "{range} holds {inside}");
            assert!(!holds(range, outside), "{range} does not hold {outside}");
        }
        assert!(holds("*", "1.0.0") && holds("", "0.1.0") && holds("x", "9.0.0"));
        assert!(!holds("*", "1.0.0-alpha") && !holds(">*", "1.0.0"));
    }

    #[test]
    fn an_invalid_version_range_is_refused() {
        for text in
            ["latest", "file:../x", "git+https://x", "1.2.3.4", "a.b.c", "1.x.3", "npm:x@1", "^^1", "-1"]
        {
            assert_eq!(Range::parse(text), None, "{text}");
        }
    }
}
