//! Suggestions for misspelt names.

/// Maximum number of suggestions for one name.
const MAX_SUGGESTIONS: usize = 3;

/// Returns the known names nearest to `name`, best first, at most three. Empty if none is near.
pub fn near_matches<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Vec<String> {
    let wanted: Vec<char> = name.to_lowercase().chars().take(64).collect();
    // Up to a third of the letters may differ. The minimum and maximum keep short and long names from matching
    // everything.
    let limit = (wanted.len() / 3).clamp(1, 4);
    let mut near: Vec<(usize, &str)> = known
        .filter_map(|candidate| {
            let letters: Vec<char> = candidate.to_lowercase().chars().take(64).collect();
            let edits = edit_distance(&wanted, &letters);
            let contained = wanted.len() >= 4
                && letters.len() >= 4
                && (is_within(&wanted, &letters) || is_within(&letters, &wanted));
            (edits <= limit).then_some(edits).or(contained.then_some(limit + 1)).map(|rank| (rank, candidate))
        })
        .collect();
    near.sort_unstable();
    near.dedup();
    near.into_iter().take(MAX_SUGGESTIONS).map(|(_, name)| name.to_owned()).collect()
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
}
