//! SQL, `PromQL` and commands of the operator pages, each run as written.

use anyhow::{Context as _, ensure};
use e2e::stack::Stack;
use serde_json::json;
use sqlx::{AssertSqlSafe, Executor as _};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

const DOCS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs");
const METRICS: &str = include_str!("../../docs/metrics.md");
const RULES: &str = include_str!("../../helm/runnerctl/files/rules.yaml");

struct Page {
    name: String,
    text: String,
}

impl Page {
    /// Lists the pages for operators: the runbooks, and the pages directly below `docs/`.
    fn all() -> anyhow::Result<Vec<Self>> {
        let mut pages = Vec::new();
        for folder in [PathBuf::from(DOCS), Path::new(DOCS).join("runbooks")] {
            for file in fs::read_dir(folder)? {
                let path = file?.path();
                if path.extension().is_some_and(|extension| extension == "md") {
                    let name = path.file_name().context("a name")?.to_string_lossy().into_owned();
                    pages.push(Self { name, text: fs::read_to_string(path)? });
                }
            }
        }
        Ok(pages)
    }

    /// Returns the fenced blocks in this language, which may be inside lists.
    fn blocks(&self, language: &str) -> Vec<String> {
        let mut blocks = Vec::new();
        let mut lines = self.text.lines();
        while let Some(line) = lines.next() {
            if line.trim().strip_prefix("```") == Some(language) {
                let block: Vec<_> =
                    lines.by_ref().take_while(|line| line.trim() != "```").map(str::trim).collect();
                blocks.push(block.join("\n"));
            }
        }
        blocks
    }

    /// Returns inline code.
    fn inline(&self) -> impl Iterator<Item = String> {
        let fenced: Vec<_> = self.text.split("```").step_by(2).collect();
        let text = fenced.join("\n");
        let code: Vec<_> = text.split('`').skip(1).step_by(2).map(words).collect();
        code.into_iter()
    }
}

/// Joins a text to one line.
fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn blocks(language: &str) -> anyhow::Result<Vec<(String, String)>> {
    let of_page =
        |page: &Page| page.blocks(language).into_iter().map(|block| (page.name.clone(), block)).collect();
    Ok(Page::all()?.iter().flat_map(|page| -> Vec<_> { of_page(page) }).collect())
}

#[tokio::test]
async fn every_sql_statement_runs_on_the_schema_of_this_version() -> anyhow::Result<()> {
    let stack = Stack::start(&[]).await?;
    // Rows to read and to change: an ended run and a running one.
    let script = stack.client.create_script("fine", "export function main() {}").await?;
    let execution = stack.client.execute(&script, json!({})).await?;
    stack.client.terminal(&execution, Duration::from_mins(1)).await?;
    let script = stack
        .client
        .create_script("long", "export const main = () => new Promise(() => setTimeout(() => 1, 1e6))");
    stack.client.execute(&script.await?, json!({})).await?;

    let statements = blocks("sql")?;
    assert!(statements.len() >= 4, "the pages' SQL was not found: {statements:?}");
    let pool = stack.database.pool().await;
    for (page, statement) in statements {
        let mut transaction = pool.begin().await?;
        let done = transaction.execute(AssertSqlSafe(statement.clone())).await;
        let done = done.with_context(|| format!("{page}: {statement}"))?;
        let changes = statement.starts_with("UPDATE") || statement.starts_with("DELETE");
        ensure!(!changes || done.rows_affected() > 0, "{page}: changes nothing: {statement}");
        transaction.rollback().await?;
    }
    Ok(())
}

#[test]
fn sql_stands_in_blocks_where_it_is_tried() -> anyhow::Result<()> {
    for page in Page::all()? {
        for code in page.inline() {
            let statement =
                ["SELECT ", "UPDATE ", "DELETE ", "INSERT "].iter().any(|verb| code.starts_with(verb));
            ensure!(!statement, "{}: `{code}` belongs into a block of sql", page.name);
        }
    }
    Ok(())
}

/// Finds the names of RunnerCtl's metrics in an expression.
fn names(expression: &str) -> BTreeSet<&str> {
    let parts = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != ':');
    parts.filter(|name| name.starts_with("runnerctl_") || name.starts_with("runnerctl:")).collect()
}

#[test]
fn every_promql_expression_parses_and_names_metrics_that_exist() -> anyhow::Result<()> {
    let expressions = blocks("promql")?;
    assert!(expressions.len() >= 6, "the pages' PromQL was not found: {expressions:?}");
    let rules: Vec<_> =
        expressions.iter().map(|(_, text)| json!({ "record": "page", "expr": text })).collect();
    let file = std::env::temp_dir().join(format!("runnerctl-pages-{}.yaml", std::process::id()));
    // JSON is YAML. Every record has its own name, because promtool rejects duplicates.
    let groups: Vec<_> = rules
        .into_iter()
        .enumerate()
        .map(|(at, rule)| json!({ "name": at.to_string(), "rules": [rule] }))
        .collect();
    fs::write(&file, json!({ "groups": groups }).to_string())?;
    let output = Command::new("promtool").args(["check", "rules", "--lint=none"]).arg(&file).output();
    fs::remove_file(&file)?;
    let output = output.context("promtool, which scripts/setup --tests installs")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let inline: Vec<_> = Page::all()?.iter().flat_map(Page::inline).collect();
    for name in expressions.iter().map(|(_, text)| text).chain(&inline).flat_map(|text| names(text)) {
        // The series of a histogram or summary are listed under the metric's name on the page.
        let family =
            ["_bucket", "_count", "_sum"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
        let exists = [name, family].iter().any(|name| METRICS.contains(&format!("`{name}`")));
        ensure!(exists || RULES.contains(&format!("record: {name}")), "there is no {name}");
    }
    Ok(())
}

#[tokio::test]
async fn every_command_of_the_api_that_is_whole_succeeds() -> anyhow::Result<()> {
    let stack = Stack::start(&[]).await?;
    let pages = Page::all()?;
    let commands: BTreeSet<_> =
        pages.iter().flat_map(Page::inline).filter(|code| code.starts_with("api ")).collect();
    let mut tried = 0;
    for command in &commands {
        let arguments = command.trim_start_matches("api ");
        let is_word = |word: &&str| !word.starts_with('-') && !word.chars().all(|c| c.is_ascii_uppercase());
        let words: Vec<_> = arguments.split(' ').take_while(is_word).collect();
        if stack.command(&format!("{} --help", words.join(" "))).await.is_err() {
            // `api publisher` and similar names are connections.
            ensure!(METRICS.contains(&format!("`{command}`")), "there is no `{command}`");
            continue;
        }
        let whole = arguments.contains("SLUG")
            || ["migrate", "rotate-encryption-key", "dead-letters list"].contains(&arguments);
        if whole {
            stack.command(&arguments.replace("SLUG", "demo")).await.with_context(|| command.clone())?;
            tried += 1;
        }
    }
    assert!(tried >= 4, "the pages' commands were not found: {commands:?}");
    Ok(())
}
