//! Workspaces and the nonces of signed requests.

use sqlx::PgPool;
use uuid::Uuid;

/// The id of a workspace, which comes into being if there is none with this slug.
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

/// The id of a workspace, if there is one with this slug.
pub async fn find(pool: &PgPool, slug: &str) -> Result<Option<Uuid>, sqlx::Error> {
    sqlx::query_scalar!("SELECT id FROM workspaces WHERE slug = $1", slug).fetch_optional(pool).await
}

/// Remembers a nonce; false if it was seen before, in whichever process.
pub async fn remember_nonce(pool: &PgPool, nonce: &str) -> Result<bool, sqlx::Error> {
    let inserted = sqlx::query!("INSERT INTO request_nonces (nonce) VALUES ($1) ON CONFLICT DO NOTHING", nonce)
        .execute(pool)
        .await?;
    Ok(inserted.rows_affected() == 1)
}
