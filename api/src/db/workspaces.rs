//! Workspaces and the nonces of signed requests.

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
