//! Suggestions for misspelt names.

/// Maximum number of suggestions for one name.
const MAX_SUGGESTIONS: usize = 3;

/// Maximum number of names that get suggestions. A text within the size limit has room for thousands of unknown names.
const MAX_NAMES: usize = 20;
/// Maximum number of characters of a name that are compared.
const MAX_CHARACTERS: usize = 64;

/// Returns the known names nearest to `name`, best first, at most three. Empty if none is near.
pub fn near_matches<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Vec<String> {
    Suggestions::among(known).near(name)
}

/// Suggestions for the misspelt names of one text, out of one list of known names.
#[derive(Debug)]
pub struct Suggestions<'a> {
    known: Vec<(Vec<char>, &'a str)>,
    /// Number of names that still get suggestions.
    names_left: usize,
}

impl<'a> Suggestions<'a> {
    /// Suggests names out of `known`.
    pub fn among(known: impl Iterator<Item = &'a str>) -> Self {
        Self { known: known.map(|name| (letters(name), name)).collect(), names_left: MAX_NAMES }
    }

    /// Returns the known names nearest to `name`, best first, at most three. Empty if none is near, and for every name
    /// after the first twenty.
    pub fn near(&mut self, name: &str) -> Vec<String> {
        let Some(names_left) = self.names_left.checked_sub(1) else { return Vec::new() };
        self.names_left = names_left;
        let wanted = letters(name);
        let ranked = |(letters, name): &(Vec<char>, &'a str)| Some((rank(&wanted, letters)?, *name));
        let mut near: Vec<(usize, &str)> = self.known.iter().filter_map(ranked).collect();
        near.sort_unstable();
        near.dedup();
        near.into_iter().take(MAX_SUGGESTIONS).map(|(_, name)| name.to_owned()).collect()
    }
}

/// Returns the compared characters of a name, in lower case.
fn letters(name: &str) -> Vec<char> {
    name.chars().flat_map(char::to_lowercase).take(MAX_CHARACTERS).collect()
}

/// Returns how far a known name is from the wanted one; less is nearer. `None` if it is not near.
fn rank(wanted: &[char], known: &[char]) -> Option<usize> {
    // Up to a third of the letters may differ. The minimum and maximum keep short and long names from matching
    // everything.
    let limit = (wanted.len() / 3).clamp(1, 4);
    // The distance is at least the difference in length, so most names need no comparison.
    let is_comparable = wanted.len().abs_diff(known.len()) <= limit;
    let edits = is_comparable.then(|| edit_distance(wanted, known)).filter(|edits| *edits <= limit);
    let is_part =
        || wanted.len() >= 4 && known.len() >= 4 && (is_within(wanted, known) || is_within(known, wanted));
    edits.or_else(|| is_part().then_some(limit + 1))
}

fn is_within(short: &[char], long: &[char]) -> bool {
    long.windows(short.len()).any(|window| window == short)
}

/// Levenshtein distance with transpositions of neighbours (optimal string alignment).
fn edit_distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, &left) in a.iter().enumerate() {
        let mut row = Vec::with_capacity(b.len() + 1);
        row.push(i + 1);
        for (j, &right) in b.iter().enumerate() {
            let mut best = (last[j] + usize::from(left != right)).min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && left == b[j - 1] && a[i - 1] == right {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 5] = ["httpRequest", "sendSlackMessage", "sendEmail", "formatDate", "parseCsv"];

    #[test]
    fn typing_errors_find_the_name() {
        for typo in ["sendSlackMesage", "sendslackmessage", "sendSalckMessage", "SendSlackMessages"] {
            assert_eq!(near_matches(typo, KNOWN.into_iter()), ["sendSlackMessage"], "{typo}");
        }
    }

    #[test]
    fn a_part_of_a_name_finds_it() {
        assert_eq!(near_matches("slackMessage", KNOWN.into_iter()), ["sendSlackMessage"]);
    }

    #[test]
    fn an_unrelated_name_has_no_suggestions() {
        assert!(near_matches("zzz", KNOWN.into_iter()).is_empty());
        assert!(near_matches("", KNOWN.into_iter()).is_empty());
    }

    #[test]
    fn names_of_another_length_are_found_only_as_parts() {
        assert!(near_matches("sendSlackMes", KNOWN.into_iter()).contains(&"sendSlackMessage".to_owned()));
        assert!(near_matches("sendSlckMes", KNOWN.into_iter()).is_empty());
    }

    #[test]
    fn only_the_first_names_of_a_text_get_suggestions() {
        let mut suggestions = Suggestions::among(KNOWN.into_iter());
        for _ in 0..MAX_NAMES {
            assert_eq!(suggestions.near("sendEmial"), ["sendEmail"]);
        }
        assert!(suggestions.near("sendEmial").is_empty());
    }
}
