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
