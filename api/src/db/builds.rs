//! Builds. They are content-addressed and immutable, so storing one twice is the same as storing it once.

use builder::Build;
use sqlx::PgConnection;

pub(crate) async fn insert(connection: &mut PgConnection, build: &Build) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO builds (hash, code, function_names) VALUES ($1, $2, $3) ON CONFLICT (hash) DO NOTHING",
        build.hash,
        build.code,
        &build.function_names
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Returns the total size of builds, in bytes. A build that is named twice counts twice.
pub(crate) async fn bytes(connection: &mut PgConnection, hashes: &[String]) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT coalesce(sum(octet_length(code)), 0)::bigint AS "bytes!"
           FROM unnest($1::text[]) AS named (hash) JOIN builds USING (hash)"#,
        hashes
    )
    .fetch_one(connection)
    .await
}

/// Returns the total size of builds as JSON texts, in bytes.
pub(crate) async fn json_bytes(connection: &mut PgConnection, hashes: &[String]) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT coalesce(sum(octet_length(to_json(code)::text)), 0)::bigint AS "bytes!"
           FROM unnest($1::text[]) AS named (hash) JOIN builds USING (hash)"#,
        hashes
    )
    .fetch_one(connection)
    .await
}
