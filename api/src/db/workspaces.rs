//! Workspaces and the nonces of signed requests.

use chrono::{DateTime, Utc};
use sqlx::PgPool;
use uuid::Uuid;

/// Returns the id of the workspace with this slug, and creates the workspace if there is none.
pub async fn id_of(pool: &PgPool, slug: &str) -> Result<Uuid, sqlx::Error> {
    if let Some(id) = find(pool, slug).await? {
        return Ok(id);
    }
    sqlx::query!(
        "INSERT INTO workspaces (id, slug) VALUES ($1, $2) ON CONFLICT (slug) DO NOTHING",
        Uuid::now_v7(),
        slug
    )
    .execute(pool)
    .await?;
    sqlx::query_scalar!("SELECT id FROM workspaces WHERE slug = $1", slug).fetch_one(pool).await
}

/// Returns the id of the workspace with this slug, if there is one.
pub async fn find(pool: &PgPool, slug: &str) -> Result<Option<Uuid>, sqlx::Error> {
    sqlx::query_scalar!("SELECT id FROM workspaces WHERE slug = $1", slug).fetch_optional(pool).await
}

/// Stores a nonce. Returns false if any process has seen it before.
pub(crate) async fn remember_nonce(pool: &PgPool, nonce: &str) -> Result<bool, sqlx::Error> {
    let inserted =
        sqlx::query!("INSERT INTO request_nonces (nonce) VALUES ($1) ON CONFLICT DO NOTHING", nonce)
            .execute(pool)
            .await?;
    Ok(inserted.rows_affected() == 1)
}

/// Returns the encrypted token with which a workspace's scripts call Plane.
pub(crate) async fn plane_token(pool: &PgPool, workspace_id: Uuid) -> Result<Option<Vec<u8>>, sqlx::Error> {
    let found = sqlx::query_scalar!("SELECT plane_token_sealed FROM workspaces WHERE id = $1", workspace_id);
    Ok(found.fetch_optional(pool).await?.flatten())
}

/// Stores that token, or deletes it for `None`.
pub(crate) async fn set_plane_token(
    pool: &PgPool,
    workspace_id: Uuid,
    sealed: Option<&[u8]>,
) -> Result<(), sqlx::Error> {
    sqlx::query!("UPDATE workspaces SET plane_token_sealed = $2 WHERE id = $1", workspace_id, sealed)
        .execute(pool)
        .await?;
    Ok(())
}

/// Changes a workspace's weight and its limit of running executions (0 removes the limit), and returns both. Returns
/// `None` if there is no such workspace.
pub async fn set_share(
    pool: &PgPool,
    slug: &str,
    weight: Option<i32>,
    concurrency: Option<i32>,
) -> Result<Option<(i32, Option<i32>)>, sqlx::Error> {
    let row = sqlx::query!(
        "UPDATE workspaces SET dispatch_weight = coalesce($2, dispatch_weight),
                max_running = CASE WHEN $3::integer IS NULL THEN max_running ELSE nullif($3, 0) END
         WHERE slug = $1 RETURNING dispatch_weight, max_running",
        slug,
        weight,
        concurrency
    )
    .fetch_optional(pool)
    .await?;
    Ok(row.map(|row| (row.dispatch_weight, row.max_running)))
}

/// Pauses a workspace, or resumes it. Returns false if there is no such workspace.
pub async fn set_paused(pool: &PgPool, slug: &str, is_paused: bool) -> Result<bool, sqlx::Error> {
    let changed = sqlx::query!(
        "UPDATE workspaces SET paused_at = CASE WHEN $2 THEN coalesce(paused_at, now()) END WHERE slug = $1",
        slug,
        is_paused,
    )
    .execute(pool)
    .await?;
    Ok(changed.rows_affected() == 1)
}

/// A workspace, its settings, and its executions that are not finished.
#[derive(Debug)]
pub(crate) struct WorkspaceLoad {
    pub slug: String,
    pub dispatch_weight: i32,
    pub max_running: Option<i32>,
    pub paused_at: Option<DateTime<Utc>>,
    pub queued: i64,
    pub running: i64,
}

/// Lists workspaces with their load, those with the most unfinished executions first. Reads the outbox and the running
/// executions, and no history.
pub(crate) async fn list_with_load(pool: &PgPool, most: i64) -> Result<Vec<WorkspaceLoad>, sqlx::Error> {
    sqlx::query_as!(
        WorkspaceLoad,
        r#"SELECT slug, dispatch_weight, max_running, paused_at,
               coalesce(waiting.executions, 0) AS "queued!", coalesce(running.executions, 0) AS "running!"
           FROM workspaces
           LEFT JOIN (SELECT workspace_id, count(*) AS executions FROM outbox GROUP BY workspace_id) waiting
               ON waiting.workspace_id = workspaces.id
           LEFT JOIN (SELECT workspace_id, count(*) AS executions FROM script_executions WHERE status = 'running'
               GROUP BY workspace_id) running ON running.workspace_id = workspaces.id
           ORDER BY coalesce(waiting.executions, 0) + coalesce(running.executions, 0) DESC, slug LIMIT $1"#,
        most,
    )
    .fetch_all(pool)
    .await
}
