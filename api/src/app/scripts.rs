//! Creates, updates and deletes scripts.

use super::{
    Update,
    build::{self, Built, Kind},
    environment::{self, Values},
    packages, run_size,
};
use crate::{
    db::{
        self,
        scripts::{BuiltScript, ScriptRow},
        shares::Shares,
    },
    model::{
        error::{ApiError, FieldErrors},
        etag::{Etag, ExpectedState},
        script::{SavedScript, Script, ScriptDraft, ScriptPatch},
    },
};
use ::packages::{Packages, ResolvedPackages};
use builder::Diagnostic;
use shared::encryption::{AssociatedData, Keyring};
use sqlx::PgConnection;
use uuid::Uuid;

/// Parts of the running api that a save uses.
#[derive(Clone, Copy, Debug)]
pub struct SaveDependencies<'a> {
    pub saves: &'a Shares,
    pub keyring: &'a Keyring,
    /// `None` if packages are off.
    pub packages: Option<&'a Packages>,
}

/// Returns a script as the API shows it: its environment has keys with redacted values.
pub(crate) fn show(keyring: &Keyring, row: ScriptRow) -> Script {
    let env = environment::redact(keyring, row.env_sealed.as_deref(), &AssociatedData::script_env(row.id));
    Script {
        id: row.id,
        name: row.name,
        description: row.description,
        category: row.category,
        platform: row.platform,
        code_type: row.code_type,
        trigger_type: row.trigger_type,
        code: row.code,
        build_hash: row.build_hash,
        variables: row.variables.0,
        env,
        allowed_domains: row.allowed_domains,
        max_retries: row.max_retries,
        retry_backoff_s: row.retry_backoff_s,
        function_names: row.function_names,
        is_system: row.is_system,
        version: row.version,
        created_at: row.created_at,
        updated_at: row.updated_at,
    }
}

/// Builds and stores a new script.
pub(crate) async fn create(
    deps: &SaveDependencies<'_>,
    workspace_id: Uuid,
    draft: ScriptDraft,
) -> Result<SavedScript, ApiError> {
    let id = Uuid::now_v7();
    let env = environment::merge(draft.env.clone(), &Values::new())?;
    let sealed = environment::seal(deps.keyring, &env, &AssociatedData::script_env(id));
    let packages = packages::resolve(deps.packages, &draft.code).await?;
    let pool = deps.saves.acquire(workspace_id).await?;
    let mut transaction = pool.begin().await?;
    let (built, diagnostics) =
        build_and_store(&mut transaction, Some(workspace_id), &draft, packages).await?;
    let row =
        db::scripts::insert(&mut transaction, id, Some(workspace_id), &draft, sealed.as_deref(), &built)
            .await
            .map_err(name_taken)?;
    transaction.commit().await?;
    Ok(SavedScript { script: show(deps.keyring, row), diagnostics })
}

/// Changes a script, and builds it if its code or code type changed.
pub(crate) async fn update(
    deps: &SaveDependencies<'_>,
    workspace_id: Uuid,
    id: Uuid,
    expected: &ExpectedState,
    update: Update<ScriptDraft, ScriptPatch>,
) -> Result<SavedScript, ApiError> {
    // The packages are resolved over the network before any row is locked.
    let packages = match &update {
        Update::Replace(draft) => packages::resolve(deps.packages, &draft.code).await?,
        Update::Patch(patch) => {
            packages::resolve(deps.packages, patch.code.as_deref().unwrap_or_default()).await?
        }
    };
    let pool = deps.saves.acquire(workspace_id).await?;
    let mut transaction = pool.begin().await?;
    let current = lock_own(&mut transaction, workspace_id, id, expected).await?;
    let context = AssociatedData::script_env(id);
    let stored_env = environment::open(deps.keyring, current.env_sealed.as_deref(), &context)?;
    let draft = match update {
        Update::Replace(draft) => draft,
        Update::Patch(patch) => apply(patch, &current, &stored_env)?,
    };
    let env = environment::merge(draft.env.clone(), &stored_env)?;
    let sealed = environment::seal(deps.keyring, &env, &context);
    let changed = draft.code != current.code || draft.code_type.as_str() != current.code_type;
    let (rebuilt, diagnostics) = if changed {
        let (built, diagnostics) =
            build_and_store(&mut transaction, Some(workspace_id), &draft, packages).await?;
        (Some(built), diagnostics)
    } else {
        (None, Vec::new())
    };
    let row = db::scripts::update(&mut transaction, id, &draft, sealed.as_deref(), rebuilt.as_ref())
        .await
        .map_err(name_taken)?;
    transaction.commit().await?;
    Ok(SavedScript { script: show(deps.keyring, row), diagnostics })
}

/// Deletes a script; its executions and versions stay.
pub(crate) async fn delete(
    deps: &SaveDependencies<'_>,
    workspace_id: Uuid,
    id: Uuid,
    expected: &ExpectedState,
) -> Result<(), ApiError> {
    let pool = deps.saves.acquire(workspace_id).await?;
    let mut transaction = pool.begin().await?;
    lock_own(&mut transaction, workspace_id, id, expected).await?;
    db::scripts::delete(&mut transaction, id).await?;
    transaction.commit().await?;
    Ok(())
}

/// Locks and returns the script, if the workspace may change it and its state is the one that the client has seen.
async fn lock_own(
    connection: &mut PgConnection,
    workspace_id: Uuid,
    id: Uuid,
    expected: &ExpectedState,
) -> Result<ScriptRow, ApiError> {
    let row = db::scripts::lock(connection, workspace_id, id).await?;
    let row = row.ok_or_else(|| ApiError::not_found("script"))?;
    if row.is_system {
        return Err(ApiError::system_row());
    }
    expected.check(&Etag::of_row(row.version, row.updated_at))?;
    Ok(row)
}

fn apply(patch: ScriptPatch, current: &ScriptRow, stored_env: &Values) -> Result<ScriptDraft, ApiError> {
    let unknown_text = |error: shared::execution::UnknownText| ApiError::Internal(error.to_string().into());
    let code_type = patch.code_type.map_or_else(|| current.code_type.parse(), Ok).map_err(unknown_text)?;
    let trigger_type =
        patch.trigger_type.map_or_else(|| current.trigger_type.parse(), Ok).map_err(unknown_text)?;
    Ok(ScriptDraft {
        name: patch.name.unwrap_or_else(|| current.name.clone()),
        description: patch.description.unwrap_or_else(|| current.description.clone()),
        category: patch.category.unwrap_or_else(|| current.category.clone()),
        code_type,
        trigger_type,
        code: patch.code.unwrap_or_else(|| current.code.clone()),
        variables: patch.variables.unwrap_or_else(|| current.variables.0.clone()),
        env: patch.env.unwrap_or_else(|| stored_env.clone()),
        allowed_domains: patch.allowed_domains.unwrap_or_else(|| current.allowed_domains.clone()),
        max_retries: patch.max_retries.unwrap_or(current.max_retries),
        retry_backoff_s: patch.retry_backoff_s.unwrap_or(current.retry_backoff_s),
    })
}

/// Builds against the current functions of the workspace, which can't change before the transaction ends.
pub(crate) async fn build_and_store(
    connection: &mut PgConnection,
    workspace_id: Option<Uuid>,
    draft: &ScriptDraft,
    packages: ResolvedPackages,
) -> Result<(BuiltScript, Vec<Diagnostic>), ApiError> {
    db::functions::lock_names(connection, workspace_id, false).await?;
    let known = db::functions::known(connection, workspace_id).await?;
    let Built { build, functions, warnings } =
        build::build(Kind::Script(draft.code_type), draft.code.clone(), packages, known).await?;
    db::builds::insert(connection, &build).await?;
    run_size::check(connection, Some(&build.hash), &functions).await?;
    Ok((BuiltScript { build_hash: build.hash, functions }, warnings))
}

fn name_taken(error: sqlx::Error) -> ApiError {
    let error = ApiError::from(error);
    if error.constraint() == Some("scripts_name") {
        return ApiError::Invalid(FieldErrors::one("name", "A script with this name exists."));
    }
    error
}
