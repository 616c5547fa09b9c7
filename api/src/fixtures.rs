//! Fixture files: a JSON array of `{"model": "script_function" | "script", "fields": {…}}`, as Django writes them.
//!
//! `fields` are those of the HTTP resources; `code_file` names a file beside the fixture in place of `code`.

use crate::resources::{function::FunctionDraft, script::ScriptDraft};
use serde::Deserialize;
use serde_json::{Map, Value};
use shared::fields::{self, FieldErrors};
use std::path::{Path, PathBuf};

/// One row of a fixture.
#[derive(Clone, Debug)]
pub enum Row {
    Function(FunctionDraft),
    Script(ScriptDraft),
}

/// Why a fixture can't be read.
#[derive(Debug, thiserror::Error)]
pub enum FixtureError {
    #[error("can't read {path}: {source}")]
    File { path: PathBuf, source: std::io::Error },
    #[error("{path} is not a fixture: {source}")]
    Format { path: PathBuf, source: serde_json::Error },
    #[error("{path}, row {row} ({name}): {errors}")]
    Row { path: PathBuf, row: usize, name: String, errors: FieldErrors },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    model: Model,
    fields: Map<String, Value>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Model {
    ScriptFunction,
    Script,
}

/// Reads one fixture file and the code files it names.
pub fn read(path: &Path) -> Result<Vec<Row>, FixtureError> {
    let text = read_text(path)?;
    let entries: Vec<Entry> = serde_json::from_str(&text)
        .map_err(|source| FixtureError::Format { path: path.to_owned(), source })?;
    let folder = path.parent().unwrap_or(Path::new(""));
    entries.into_iter().enumerate().map(|(index, entry)| read_row(path, folder, index + 1, entry)).collect()
}

fn read_row(path: &Path, folder: &Path, row: usize, entry: Entry) -> Result<Row, FixtureError> {
    let mut members = entry.fields;
    let name = members.get("name").and_then(Value::as_str).unwrap_or("no name").to_owned();
    if let Some(Value::String(file)) = members.remove("code_file") {
        members.insert("code".to_owned(), Value::String(read_text(&folder.join(file))?));
    }
    let bytes = serde_json::to_vec(&members).expect("a JSON object is JSON");
    let read = match entry.model {
        Model::ScriptFunction => fields::parse(&bytes).map(Row::Function),
        Model::Script => fields::parse(&bytes).map(Row::Script),
    };
    read.map_err(|errors| FixtureError::Row { path: path.to_owned(), row, name, errors })
}

fn read_text(path: &Path) -> Result<String, FixtureError> {
    std::fs::read_to_string(path).map_err(|source| FixtureError::File { path: path.to_owned(), source })
}
