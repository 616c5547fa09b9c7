//! `api loaddata FILE…`: brings the system's functions and scripts to what fixtures say.
//!
//! Invariant: all files are one transaction, and loading them again changes nothing. Rows are found by name; those
//! that no fixture names stay.

use crate::{
    build::{self, Compiled, Kind},
    config::DatabaseConfig,
    database,
    error::ApiError,
    fixtures::{self, Row},
    resolve::KnownFunction,
    resources::{
        function::{Function, FunctionDraft, usage_example},
        script::ScriptDraft,
    },
    saving,
    store::{
        self,
        scripts::{BuiltScript, ScriptRow},
    },
};
use anyhow::bail;
use npm::Prepared;
use shared::{builder::Diagnostic, config::Environment};
use sqlx::{PgConnection, PgPool};
use std::{fmt::Write, path::Path, sync::Arc};
use uuid::Uuid;

/// How many rows were written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    pub created: usize,
    pub updated: usize,
    pub unchanged: usize,
}

pub async fn run(environment: Environment, files: &[String]) -> anyhow::Result<()> {
    if files.is_empty() {
        bail!("name at least one fixture file");
    }
    let pool = database::pool(&DatabaseConfig::read(environment)?, &Arc::default())?;
    let Loaded { created, updated, unchanged } = load(&pool, files).await?;
    tracing::info!(created, updated, unchanged, "fixtures loaded");
    Ok(())
}

/// Loads fixture files in one transaction.
pub async fn load(pool: &PgPool, files: &[impl AsRef<Path>]) -> anyhow::Result<Loaded> {
    let (mut functions, mut scripts) = (Vec::new(), Vec::new());
    for file in files {
        for row in fixtures::read(file.as_ref())? {
            match row {
                Row::Function(draft) => functions.push(draft),
                Row::Script(draft) => scripts.push(draft),
            }
        }
    }
    let mut transaction = pool.begin().await?;
    store::functions::lock_names(&mut transaction, None, true).await?;
    let mut loaded = Loaded::default();
    let changed = load_functions(&mut transaction, functions, &mut loaded).await?;
    load_scripts(&mut transaction, scripts, &mut loaded).await?;
    repin_everywhere(&mut transaction, &changed).await?;
    transaction.commit().await?;
    Ok(loaded)
}

/// Functions may call each other in any order, so all are compiled before any is resolved. Returns what changed.
async fn load_functions(
    connection: &mut PgConnection,
    drafts: Vec<FunctionDraft>,
    loaded: &mut Loaded,
) -> anyhow::Result<Vec<String>> {
    let current = store::functions::lock_system(connection).await?;
    let mut known = store::functions::known(connection, None).await?;
    let mut compiled = Vec::with_capacity(drafts.len());
    for mut draft in drafts {
        if draft.usage_example.is_empty() {
            draft.usage_example = usage_example(&draft.name, &draft.parameters);
        }
        let kind = Kind::Function { name: draft.name.clone(), parameters: draft.parameter_names() };
        let built = build::compile(kind, draft.code.clone(), Prepared::default())
            .await
            .map_err(|error| explain(&draft.name, error))?;
        known.push(KnownFunction {
            name: draft.name.clone(),
            build_hash: built.build.hash.clone(),
            function_names: built.build.function_names.clone(),
        });
        compiled.push((draft, built));
    }
    let mut changed = Vec::new();
    for (draft, Compiled { build, warnings }) in compiled {
        let called = build.function_names.clone();
        let built = build::link(Compiled { build, warnings }, &called, &known)
            .map_err(|error| explain(&draft.name, error))?;
        store::builds::insert(connection, &built.build).await?;
        let (hash, names) = (&built.build.hash, &built.build.function_names);
        match current.iter().find(|function| function.name == draft.name) {
            None => {
                store::functions::insert(connection, Uuid::now_v7(), None, &draft, hash, names).await?;
                loaded.created += 1;
                changed.push(draft.name);
            }
            Some(function) if is_function(function, &draft, hash) => loaded.unchanged += 1,
            Some(function) => {
                store::functions::update(connection, function.id, &draft, hash, names).await?;
                loaded.updated += 1;
                changed.push(draft.name);
            }
        }
    }
    Ok(changed)
}

async fn load_scripts(
    connection: &mut PgConnection,
    drafts: Vec<ScriptDraft>,
    loaded: &mut Loaded,
) -> anyhow::Result<()> {
    let current = store::scripts::lock_system(connection).await?;
    for draft in drafts {
        if !draft.env.is_empty() {
            bail!("{}: a system script has no environment of its own", draft.name);
        }
        let (built, _warnings) =
            saving::scripts::build_and_store(connection, None, &draft, Prepared::default())
                .await
                .map_err(|error| explain(&draft.name, error))?;
        match current.iter().find(|script| script.name == draft.name) {
            None => {
                store::scripts::insert(connection, Uuid::now_v7(), None, &draft, None, &built).await?;
                loaded.created += 1;
            }
            Some(script) if is_script(script, &draft, &built) => loaded.unchanged += 1,
            Some(script) => {
                let rebuilt = (script.build_hash != built.build_hash).then_some(&built);
                store::scripts::update(connection, script.id, &draft, None, rebuilt).await?;
                loaded.updated += 1;
            }
        }
    }
    Ok(())
}

/// A changed system function is a new version for what needs it, the system's and the workspaces' scripts alike.
async fn repin_everywhere(connection: &mut PgConnection, changed: &[String]) -> anyhow::Result<()> {
    if changed.is_empty() {
        return Ok(());
    }
    saving::functions::repin_dependants(connection, None, changed).await?;
    for workspace_id in store::scripts::workspaces_needing(connection, changed).await? {
        store::functions::lock_names(connection, Some(workspace_id), true).await?;
        saving::functions::repin_dependants(connection, Some(workspace_id), changed).await?;
    }
    Ok(())
}

fn is_function(function: &Function, draft: &FunctionDraft, hash: &str) -> bool {
    function.description == draft.description
        && function.category == draft.category
        && function.parameters == draft.parameters
        && function.return_type == draft.return_type
        && function.usage_example == draft.usage_example
        && function.code == draft.code
        && function.build_hash == hash
}

fn is_script(script: &ScriptRow, draft: &ScriptDraft, built: &BuiltScript) -> bool {
    script.description == draft.description
        && script.category == draft.category
        && script.code_type == draft.code_type.as_str()
        && script.trigger_type == draft.trigger_type.as_str()
        && script.code == draft.code
        && script.build_hash == built.build_hash
        && script.variables.0 == draft.variables
        && script.allowed_domains == draft.allowed_domains
        && script.max_retries == draft.max_retries
        && script.retry_backoff_s == draft.retry_backoff_s
}

fn explain(name: &str, error: ApiError) -> anyhow::Error {
    let mut context = name.to_owned();
    if let ApiError::Code(diagnostics) = &error {
        for Diagnostic { line, column, message, .. } in diagnostics {
            let _ = write!(context, "\n  {line}:{column}: {message}");
        }
    }
    anyhow::Error::new(error).context(context)
}
