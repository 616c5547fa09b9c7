//! Runs unsaved code as an execution.

use super::{RunDependencies, idempotency::IdempotencyKey};
use crate::{
    app::{
        build::{self, Built, Kind},
        environment::{self, Values},
        packages, run_size,
    },
    db::{
        self,
        enqueue::{self, Runnable, Submission},
    },
    delivery::FastPath,
    model::{error::ApiError, execution::TestRun, execution_ids},
};
use ::packages::Packages;
use builder::Build;
use shared::{delivery::priority, encryption::AssociatedData, execution::TriggerType};
use sqlx::Connection;
use std::sync::Arc;
use uuid::Uuid;

/// Builds the code, and creates and publishes its execution, even if the client disconnects meanwhile. Returns the
/// execution's id, or that of the execution which an earlier request with the key created.
pub(crate) async fn submit(
    deps: &RunDependencies<'_>,
    packages: Option<&Packages>,
    workspace_id: Uuid,
    test: TestRun,
    key: Option<IdempotencyKey>,
    traceparent: Option<String>,
) -> Result<Uuid, ApiError> {
    deps.quota.admit(deps.pool, workspace_id).await?;
    let id = execution_ids::next();
    let env = environment::merge(test.env, &Values::new())?;
    let packages = packages::resolve(packages, &test.code).await?;
    let known = db::functions::known(&mut *deps.pool.acquire().await?, Some(workspace_id)).await?;
    // Holds no connection, since the time of a build depends on the size of the code.
    let Built { build, functions, .. } =
        build::build(Kind::Script(test.code_type), test.code, packages, known).await?;
    let submission = Submission {
        id,
        workspace_id,
        trigger_type: TriggerType::Test,
        runnable: Runnable {
            script: None,
            build_hash: build.hash.clone(),
            code_type: test.code_type.as_str().to_owned(),
            functions,
            allowed_domains: test.allowed_domains,
            max_retries: 0,
        },
        input: test.input,
        variables: test.variables,
        env_sealed: environment::seal(deps.keyring, &env, &AssociatedData::execution_env(id)),
        priority: priority::INTERACTIVE,
        traceparent,
        replay_of: None,
    };
    insert_and_publish(deps, submission, build, key).await
}

async fn insert_and_publish(
    deps: &RunDependencies<'_>,
    submission: Submission,
    build: Build,
    key: Option<IdempotencyKey>,
) -> Result<Uuid, ApiError> {
    let (dispatcher, mut connection) = (Arc::clone(deps.dispatcher), deps.pool.acquire().await?);
    let submitting = async move {
        let fast_path = FastPath::try_enter(&dispatcher);
        let mut transaction = connection.begin().await?;
        if let Some(key) = key
            && let Some(earlier) = key.claim(&mut transaction, submission.workspace_id, submission.id).await?
        {
            return Ok(earlier);
        }
        db::builds::insert(&mut transaction, &build).await?;
        run_size::check(&mut transaction, Some(&build.hash), &submission.runnable.functions).await?;
        let inserted = enqueue::insert(&mut transaction, &submission, fast_path.mode()).await?;
        transaction.commit().await?;
        fast_path.publish_and_wait_durable(inserted, &mut connection).await?;
        Ok(submission.id)
    };
    deps.dispatcher.run_detached(submitting).await
}
