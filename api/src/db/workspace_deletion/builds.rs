//! Deletes builds that no row names any more.
//!
//! Invariant: a history of any length is read once, partition by partition, and only if there is a build that nothing
//! else names. No statement holds a lock on history.

use sqlx::PgPool;
use std::collections::HashSet;

/// Deletes the builds that are older than an hour and named by no row. Unsaved code leaves builds too. An hour is far more
/// than a request takes from the build to the row that names it.
pub(super) async fn erase_unused(pool: &PgPool) -> sqlx::Result<()> {
    let began = sqlx::query_scalar!(r#"SELECT now() AS "now!""#).fetch_one(pool).await?;
    let mut unused = candidates(pool).await?;
    for partition in partitions(pool).await? {
        if unused.is_empty() {
            return Ok(());
        }
        for named in named_in(pool, &partition, &unused).await? {
            unused.remove(&named);
        }
    }
    let unused: Vec<String> = unused.into_iter().collect();
    // Rows that were written since the partitions were read are few, and at the end of the primary key.
    sqlx::query!(
        "DELETE FROM builds b WHERE hash = ANY ($1)
             AND NOT EXISTS (SELECT FROM scripts WHERE build_hash = b.hash)
             AND NOT EXISTS (SELECT FROM script_functions WHERE build_hash = b.hash)
             AND NOT EXISTS (SELECT FROM script_versions WHERE build_hash = b.hash)
             AND NOT EXISTS (SELECT FROM script_versions, jsonb_array_elements(functions) AS pin
                 WHERE pin ->> 'build_hash' = b.hash)
             AND NOT EXISTS (SELECT FROM script_executions
                 WHERE id >= uuid_v7_floor($2::timestamptz - interval '1 minute') AND build_hash = b.hash)",
        &unused,
        began,
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Lists the builds that no script, function or version names.
async fn candidates(pool: &PgPool) -> sqlx::Result<HashSet<String>> {
    let hashes = sqlx::query_scalar!(
        "SELECT hash FROM builds b WHERE created_at < now() - interval '1 hour'
             AND NOT EXISTS (SELECT FROM scripts WHERE build_hash = b.hash)
             AND NOT EXISTS (SELECT FROM script_functions WHERE build_hash = b.hash)
             AND NOT EXISTS (SELECT FROM script_versions WHERE build_hash = b.hash)
             AND hash NOT IN (SELECT pin ->> 'build_hash' FROM script_versions, jsonb_array_elements(functions) AS pin
                 WHERE pin ->> 'build_hash' IS NOT NULL)"
    )
    .fetch_all(pool)
    .await?;
    Ok(hashes.into_iter().collect())
}

async fn partitions(pool: &PgPool) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar!(
        r#"SELECT child.relname::text AS "name!" FROM pg_inherits JOIN pg_class child ON child.oid = inhrelid
           WHERE inhparent = 'script_executions'::regclass AND child.relname ~ '^script_executions_\d{8}$'
           ORDER BY 1 DESC"#
    )
    .fetch_all(pool)
    .await
}

/// Lists which of these builds the executions of a partition name, themselves or for a function. `partition` is a name
/// from the catalog that [`partitions`] has checked.
async fn named_in(pool: &PgPool, partition: &str, hashes: &HashSet<String>) -> sqlx::Result<Vec<String>> {
    let hashes: Vec<String> = hashes.iter().cloned().collect();
    let statement = format!(
        "SELECT DISTINCT hash FROM (
             SELECT build_hash AS hash FROM {partition}
             UNION ALL
             SELECT pin ->> 'build_hash' FROM {partition}, jsonb_array_elements(functions) AS pin
             WHERE functions <> '[]'
         ) named WHERE hash = ANY ($1)"
    );
    let mut transaction = pool.begin().await?;
    // Reads all rows of a week, which may take minutes.
    sqlx::query("SET LOCAL statement_timeout = 0").execute(&mut *transaction).await?;
    let named =
        sqlx::query_scalar(sqlx::AssertSqlSafe(statement)).bind(&hashes).fetch_all(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(named)
}
