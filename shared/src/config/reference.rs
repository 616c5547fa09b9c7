//! Configuration reference, generated from the readers: names and defaults come from the variables they read, meanings
//! from the comments of the fields they fill. So the page neither lacks a variable nor keeps an old one.

use super::{DeclaredVariable, DefaultValue};
use std::{fmt::Write as _, path::Path};

/// Compares the section of a page with the variables that a program reads. With `UPDATE_DOCS=1`, writes the section.
///
/// # Errors
/// Lists variables that no comment explains, or tells how to update a section that is out of date.
#[expect(clippy::disallowed_methods, reason = "a switch of tests, not configuration")]
pub fn check_up_to_date(
    page: &Path,
    title: &str,
    declared: &[DeclaredVariable],
    sources: &[&str],
) -> Result<(), String> {
    let table = table(declared, sources).map_err(|names| format!("no comment explains {names}"))?;
    let found = std::fs::read_to_string(page).map_err(|error| format!("{}: {error}", page.display()))?;
    let expected = with_section(&found, title, &table);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        return std::fs::write(page, expected).map_err(|error| format!("{}: {error}", page.display()));
    }
    let stale = || {
        format!("{} is out of date: UPDATE_DOCS=1 cargo test --workspace --lib configuration", page.display())
    };
    if found == expected { Ok(()) } else { Err(stale()) }
}

/// Makes a table of all variables of one program. The error lists those that no comment explains.
///
/// A variable is explained by a doc comment that begins with its name and a colon, or ends with its name in
/// parentheses, anywhere in `sources`.
pub fn table(declared: &[DeclaredVariable], sources: &[&str]) -> Result<String, String> {
    let comments: Vec<String> = sources.iter().flat_map(|source| doc_comments(source)).collect();
    let mut table = "| variable | default | meaning |\n|---|---|---|\n".to_owned();
    let mut unexplained = Vec::new();
    for DeclaredVariable { name, default } in declared {
        let default = match default {
            DefaultValue::Required => "required".to_owned(),
            DefaultValue::None => "none".to_owned(),
            DefaultValue::Value(value) if value.is_empty() => "empty".to_owned(),
            DefaultValue::Value(value) => format!("`{value}`"),
            DefaultValue::Computed(how) => (*how).to_owned(),
        };
        match comments.iter().find_map(|comment| meaning(comment, name)) {
            Some(meaning) => {
                writeln!(table, "| `{name}` | {default} | {meaning} |").expect("a String takes any text");
            }
            None => unexplained.push(*name),
        }
    }
    if unexplained.is_empty() { Ok(table) } else { Err(unexplained.join(", ")) }
}

/// Replaces the section `title` of `page` with this table, up to the next section.
#[must_use]
pub fn with_section(page: &str, title: &str, table: &str) -> String {
    let heading = format!("## {title}\n");
    let (before, after) = page.split_once(&heading).unwrap_or((page, ""));
    let rest = after.find("\n## ").map_or("", |next| &after[next..]);
    format!("{before}{heading}\n{table}{rest}")
}

/// Collects the doc comments, each as one line.
fn doc_comments(source: &str) -> Vec<String> {
    let mut comments = vec![String::new()];
    for line in source.lines() {
        match line.trim().strip_prefix("///") {
            Some(text) => {
                let comment = comments.last_mut().expect("never empty");
                comment.push_str(text.trim());
                comment.push(' ');
            }
            None => comments.push(String::new()),
        }
    }
    comments
        .into_iter()
        .map(|comment| comment.trim().to_owned())
        .filter(|comment| !comment.is_empty())
        .collect()
}

fn meaning(comment: &str, name: &str) -> Option<String> {
    let text = if let Some(rest) = comment.strip_prefix(&format!("`{name}`: ")) {
        rest.to_owned()
    } else {
        format!("{}.", comment.strip_suffix(&format!(" (`{name}`)."))?)
    };
    let mut letters = text.chars();
    let first = letters.next()?;
    Some(first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::EnvReader;

    const SOURCE: &str = "
        /// `PORT`: where HTTP is served,
        /// on every address.
        port: u16,
        /// Limits the time of a run (`EXECUTION_TIMEOUT_MS`).
        limit: Duration,
    ";

    #[test]
    fn the_table_joins_declared_variables_with_their_comments() {
        let mut environment = EnvReader::from([]);
        environment.parse_or("PORT", 3000_u16);
        environment.required("EXECUTION_TIMEOUT_MS");
        let table = table(environment.declared(), &[SOURCE]).unwrap();
        assert!(table.contains("| `PORT` | `3000` | Where HTTP is served, on every address. |\n"), "{table}");
        assert!(
            table.contains("| `EXECUTION_TIMEOUT_MS` | required | Limits the time of a run. |\n"),
            "{table}"
        );
    }

    #[test]
    fn a_section_is_replaced_and_the_others_stay() {
        let page = "# Page\n\n## api\n\nold\n\n## worker\n\nkept\n";
        assert_eq!(with_section(page, "api", "new\n"), "# Page\n\n## api\n\nnew\n\n## worker\n\nkept\n");
        assert_eq!(with_section(page, "worker", "new\n"), "# Page\n\n## api\n\nold\n\n## worker\n\nnew\n");
    }

    #[test]
    fn a_variable_without_a_meaning_is_named() {
        let mut environment = EnvReader::from([]);
        environment.optional("UNHEARD_OF");
        assert_eq!(table(environment.declared(), &[SOURCE]), Err("UNHEARD_OF".to_owned()));
    }
}
