//! Creates, updates and deletes functions, and gives new versions to the scripts that need them.

use super::{
    Update,
    build::{self, Built, Kind},
    function_resolution::resolve,
    run_size,
};
use crate::{
    db::{self, functions::DependentFunction, shares::Shares},
    model::{
        error::{ApiError, FieldErrors},
        etag::{Etag, ExpectedState},
        function::{Function, FunctionDraft, FunctionPatch, SavedFunction, usage_example},
    },
};
use packages::ResolvedPackages;
use serde_json::{Value, json};
use sqlx::PgConnection;
use uuid::Uuid;

/// Limits the functions of one workspace. Every build is resolved against all of them, and the types for the editor
/// declare all of them.
const MAX_FUNCTIONS: i64 = 200;
/// Limits the names of unknown functions in one log line.
const MAX_LOGGED_NAMES: usize = 20;

/// Builds and stores a new function.
pub(crate) async fn create(
    saves: &Shares,
    workspace_id: Uuid,
    mut draft: FunctionDraft,
) -> Result<SavedFunction, ApiError> {
    let pool = saves.acquire(workspace_id).await?;
    let mut transaction = pool.begin().await?;
    db::functions::lock_names(&mut transaction, Some(workspace_id), true).await?;
    refuse_one_too_many(&mut transaction, workspace_id).await?;
    refuse_system_name(&mut transaction, &draft.name).await?;
    default_usage_example(&mut draft, None);
    let built = build_and_store(&mut transaction, Some(workspace_id), &draft).await?;
    let (hash, names) = (&built.build.hash, &built.build.function_names);
    let id = Uuid::now_v7();
    let function = db::functions::insert(&mut transaction, id, Some(workspace_id), &draft, hash, names)
        .await
        .map_err(name_taken)?;
    transaction.commit().await?;
    Ok(SavedFunction { function, diagnostics: built.warnings })
}

/// Changes a function. Scripts that need it get a new version with the new build. A name in use can't be changed.
pub(crate) async fn update(
    saves: &Shares,
    workspace_id: Uuid,
    id: Uuid,
    expected: &ExpectedState,
    update: Update<FunctionDraft, FunctionPatch>,
) -> Result<SavedFunction, ApiError> {
    let pool = saves.acquire(workspace_id).await?;
    let mut transaction = pool.begin().await?;
    db::functions::lock_names(&mut transaction, Some(workspace_id), true).await?;
    let current = lock_own(&mut transaction, workspace_id, id, expected).await?;
    let mut draft = match update {
        Update::Replace(draft) => draft,
        Update::Patch(patch) => apply(patch, &current),
    };
    default_usage_example(&mut draft, Some(&current));
    if draft.name != current.name {
        refuse_in_use(&mut transaction, workspace_id, &current.name, "renamed").await?;
        refuse_system_name(&mut transaction, &draft.name).await?;
    }
    let built = build_and_store(&mut transaction, Some(workspace_id), &draft).await?;
    let (hash, names) = (&built.build.hash, &built.build.function_names);
    let function =
        db::functions::update(&mut transaction, id, &draft, hash, names).await.map_err(name_taken)?;
    let rebuilt = *hash != current.build_hash;
    if rebuilt {
        update_dependents(&mut transaction, Some(workspace_id), std::slice::from_ref(&function.name)).await?;
    }
    transaction.commit().await?;
    Ok(SavedFunction { function, diagnostics: if rebuilt { built.warnings } else { Vec::new() } })
}

/// Deletes a function. One in use is deleted only with `force`: scripts that need it continue with the builds they
/// have.
pub(crate) async fn delete(
    saves: &Shares,
    workspace_id: Uuid,
    id: Uuid,
    expected: &ExpectedState,
    force: bool,
) -> Result<(), ApiError> {
    let pool = saves.acquire(workspace_id).await?;
    let mut transaction = pool.begin().await?;
    db::functions::lock_names(&mut transaction, Some(workspace_id), true).await?;
    let function = lock_own(&mut transaction, workspace_id, id, expected).await?;
    if !force {
        refuse_in_use(&mut transaction, workspace_id, &function.name, "deleted").await?;
    }
    db::functions::delete(&mut transaction, id).await?;
    transaction.commit().await?;
    Ok(())
}

/// Builds against the current functions of the workspace.
pub(crate) async fn build_and_store(
    connection: &mut PgConnection,
    workspace_id: Option<Uuid>,
    draft: &FunctionDraft,
) -> Result<Built, ApiError> {
    let known = db::functions::known(connection, workspace_id).await?;
    let kind = Kind::Function { name: draft.name.clone(), parameters: draft.parameter_names() };
    let built = build::build(kind, draft.code.clone(), ResolvedPackages::default(), known).await?;
    db::builds::insert(connection, &built.build).await?;
    Ok(built)
}

/// Gives a version with the current builds to every script that needs one of `names`, directly or through other
/// functions.
pub(crate) async fn update_dependents(
    connection: &mut PgConnection,
    workspace_id: Option<Uuid>,
    names: &[String],
) -> Result<(), ApiError> {
    let known = db::functions::known(connection, workspace_id).await?;
    for script in db::scripts::dependents_of(connection, workspace_id, names).await? {
        match resolve(&script.called, &known) {
            Ok(functions) if functions == script.functions.0 => {}
            Ok(functions) => {
                run_size::check(connection, None, &functions).await?;
                db::scripts::pin_functions(connection, script.id, &functions).await?;
            }
            // A function that the script calls was deleted by force: the script keeps the builds that it has.
            Err(unknown) => {
                let missing = unknown[..unknown.len().min(MAX_LOGGED_NAMES)].join(", ");
                let count = unknown.len();
                tracing::info!(script_id = %script.id, missing, count, "script keeps its old builds of functions");
            }
        }
    }
    Ok(())
}

async fn lock_own(
    connection: &mut PgConnection,
    workspace_id: Uuid,
    id: Uuid,
    expected: &ExpectedState,
) -> Result<Function, ApiError> {
    let function = db::functions::lock(connection, workspace_id, id).await?;
    let function = function.ok_or_else(|| ApiError::not_found("function"))?;
    if function.is_system {
        return Err(ApiError::system_row());
    }
    expected.check(&Etag::of_row(function.version, function.updated_at))?;
    Ok(function)
}

async fn refuse_in_use(
    connection: &mut PgConnection,
    workspace_id: Uuid,
    name: &str,
    change: &str,
) -> Result<(), ApiError> {
    let scripts = db::scripts::dependents_of(connection, Some(workspace_id), &[name.to_owned()]).await?;
    let callers = db::functions::callers(connection, workspace_id, name).await?;
    if scripts.is_empty() && callers.is_empty() {
        return Ok(());
    }
    let detail = format!(
        "{name} is in use by {} scripts and {} functions, and can't be {change}.",
        scripts.len(),
        callers.len()
    );
    let scripts: Vec<Value> =
        scripts.iter().map(|script| json!({ "id": script.id, "name": script.name })).collect();
    let function = |DependentFunction { id, name }: &DependentFunction| json!({ "id": id, "name": name });
    let functions: Vec<Value> = callers.iter().map(function).collect();
    Err(ApiError::conflict("in_use", detail).with("scripts", scripts).with("functions", functions))
}

/// Refuses another function if the workspace has as many as it may. The names of its functions are locked.
async fn refuse_one_too_many(connection: &mut PgConnection, workspace_id: Uuid) -> Result<(), ApiError> {
    let count = db::functions::count(connection, workspace_id).await?;
    if count < MAX_FUNCTIONS {
        return Ok(());
    }
    let rule =
        format!("A workspace may have {MAX_FUNCTIONS} functions; this one has {count}. Delete one first.");
    Err(ApiError::field("name", rule))
}

async fn refuse_system_name(connection: &mut PgConnection, name: &str) -> Result<(), ApiError> {
    if db::functions::is_system_name(connection, name).await? {
        return Err(ApiError::field("name", "A system function has this name."));
    }
    Ok(())
}

/// Generates the usage example again, unless an author wrote it.
fn default_usage_example(draft: &mut FunctionDraft, current: Option<&Function>) {
    let generated_before = current.is_some_and(|function| {
        draft.usage_example == function.usage_example
            && function.usage_example == usage_example(&function.name, &function.parameters)
    });
    if draft.usage_example.is_empty() || generated_before {
        draft.usage_example = usage_example(&draft.name, &draft.parameters);
    }
}

fn apply(patch: FunctionPatch, current: &Function) -> FunctionDraft {
    let current = current.clone();
    FunctionDraft {
        name: patch.name.unwrap_or(current.name),
        description: patch.description.unwrap_or(current.description),
        category: patch.category.unwrap_or(current.category),
        parameters: patch.parameters.unwrap_or(current.parameters),
        return_type: patch.return_type.unwrap_or(current.return_type),
        usage_example: patch.usage_example.unwrap_or(current.usage_example),
        code: patch.code.unwrap_or(current.code),
    }
}

fn name_taken(error: sqlx::Error) -> ApiError {
    let error = ApiError::from(error);
    if error.constraint() == Some("script_functions_name") {
        return ApiError::Invalid(FieldErrors::one("name", "A function with this name exists."));
    }
    error
}
