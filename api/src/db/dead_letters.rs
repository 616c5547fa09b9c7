//! Statements on dead letters.
//!
//! A letter belongs to the workspace whose slug it has. In every statement, `workspace` narrows to one; `None` is all.

use crate::model::{
    dead_letter::{DeadLetter, MAX_LISTED_BODY, NewLetter},
    pagination::PageRequest,
};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

/// Filters of a list of letters.
#[derive(Clone, Debug, Default)]
pub(crate) struct LetterFilter {
    /// `ILIKE` pattern that reason or routing key match.
    pub pattern: Option<String>,
    /// Bytes that the body may hold instead.
    pub text: Option<String>,
}

/// Stores a letter once, however often it is delivered. A letter without an id that was delivered before is stored
/// unless an equal one is.
pub(crate) async fn insert(pool: &PgPool, letter: &NewLetter, is_redelivered: bool) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO dead_letters (id, workspace_slug, reason, exchange, routing_key, body, body_bytes, fingerprint)
         SELECT $1::uuid,
             CASE WHEN $2::uuid IS NULL
                  THEN coalesce((SELECT slug FROM workspaces WHERE slug = ANY ($11::text[])
                                 ORDER BY length(slug) DESC LIMIT 1), $3::text)
                  ELSE (SELECT slug FROM script_executions e JOIN workspaces w ON w.id = e.workspace_id
                        WHERE e.id = $2 LIMIT 1) END,
             $4::text, $5::text, $6::text, $7::bytea, $8::bigint, $9::bytea
         WHERE NOT $10::boolean OR NOT EXISTS (SELECT FROM dead_letters WHERE fingerprint = $9)
         ON CONFLICT (id) DO NOTHING",
        letter.id.unwrap_or_else(Uuid::now_v7),
        letter.execution_id,
        letter.workspace_slug,
        letter.reason,
        letter.exchange,
        letter.routing_key,
        letter.body,
        letter.body_bytes,
        &letter.fingerprint[..],
        is_redelivered && letter.id.is_none(),
        &letter.possible_slugs,
    )
    .execute(pool)
    .await
    .map(drop)
}

/// Lists letters, newest first. A long body is left out.
pub(crate) async fn list(
    pool: &PgPool,
    workspace: Option<&str>,
    filter: &LetterFilter,
    page: PageRequest,
) -> sqlx::Result<Vec<DeadLetter>> {
    let LetterFilter { pattern, text } = filter;
    sqlx::query_as!(
        DeadLetter,
        r#"SELECT id, reason, exchange, routing_key, body_bytes, created_at,
                  CASE WHEN octet_length(body) <= $1 THEN body END AS body
           FROM dead_letters
           WHERE ($2::text IS NULL OR workspace_slug = $2) AND id < $3
               AND ($4::text IS NULL OR reason ILIKE $4 OR routing_key ILIKE $4
                    OR position(convert_to($5::text, 'UTF8') IN body) > 0)
           ORDER BY id DESC LIMIT $6"#,
        MAX_LISTED_BODY,
        workspace,
        page.below(),
        pattern.as_deref(),
        text.as_deref(),
        page.rows(),
    )
    .fetch_all(pool)
    .await
}

/// Returns a letter with its whole body.
pub(crate) async fn get(
    pool: &PgPool,
    workspace: Option<&str>,
    id: Uuid,
) -> sqlx::Result<Option<DeadLetter>> {
    sqlx::query_as!(
        DeadLetter,
        r#"SELECT id, reason, exchange, routing_key, body_bytes, created_at, body AS "body?" FROM dead_letters
           WHERE id = $2 AND ($1::text IS NULL OR workspace_slug = $1)"#,
        workspace,
        id
    )
    .fetch_optional(pool)
    .await
}

/// Locks a letter until the end of the transaction. Waits for another request that holds it; `None` if that removed it.
pub(crate) async fn lock(
    connection: &mut PgConnection,
    workspace: Option<&str>,
    id: Uuid,
) -> sqlx::Result<Option<DeadLetter>> {
    sqlx::query_as!(
        DeadLetter,
        r#"SELECT id, reason, exchange, routing_key, body_bytes, created_at, body AS "body?" FROM dead_letters
           WHERE id = $2 AND ($1::text IS NULL OR workspace_slug = $1) FOR UPDATE"#,
        workspace,
        id
    )
    .fetch_optional(connection)
    .await
}

/// Deletes a letter. Returns whether there was one.
pub(crate) async fn delete<'e>(
    executor: impl sqlx::PgExecutor<'e>,
    workspace: Option<&str>,
    id: Uuid,
) -> sqlx::Result<bool> {
    let deleted = sqlx::query!(
        "DELETE FROM dead_letters WHERE id = $2 AND ($1::text IS NULL OR workspace_slug = $1)",
        workspace,
        id
    );
    Ok(deleted.execute(executor).await?.rows_affected() > 0)
}
