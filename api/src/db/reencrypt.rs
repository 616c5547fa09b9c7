//! Re-encrypts every stored secret that outlives a run, after `ENCRYPTION_KEY` has changed.
//!
//! Invariant: all secrets are encrypted with the newest key, or nothing was changed.

use shared::encryption::{AssociatedData, Keyring, OpenError};
use sqlx::{PgConnection, PgPool};

/// Number of values that were re-encrypted, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reencrypted {
    pub plane_tokens: usize,
    pub variables: usize,
    pub scripts: usize,
    /// Environments of queued and running executions. Those of finished ones are not changed.
    pub executions: usize,
}

/// The error because of which nothing was re-encrypted.
#[derive(Debug, thiserror::Error)]
pub enum ReencryptError {
    #[error("a stored secret can't be decrypted: {0}")]
    Open(#[from] OpenError),
    #[error("secrets can't be re-encrypted: {0}")]
    Database(#[from] sqlx::Error),
}

/// Encrypts with the first key of `keyring` every secret that is encrypted with another of its keys.
pub async fn reencrypt_all(pool: &PgPool, keyring: &Keyring) -> Result<Reencrypted, ReencryptError> {
    let mut transaction = pool.begin().await?;
    let reencrypted = Reencrypted {
        plane_tokens: plane_tokens(&mut transaction, keyring).await?,
        variables: variables(&mut transaction, keyring).await?,
        scripts: scripts(&mut transaction, keyring).await?,
        executions: executions(&mut transaction, keyring).await?,
    };
    transaction.commit().await?;
    Ok(reencrypted)
}

/// Returns `sealed` encrypted with the first key, or `None` if it already is.
fn reencrypt_if_old(
    keyring: &Keyring,
    sealed: &[u8],
    context: &AssociatedData,
) -> Result<Option<Vec<u8>>, OpenError> {
    if !keyring.is_outdated(sealed) {
        return Ok(None);
    }
    Ok(Some(keyring.seal(&keyring.open(sealed, context)?, context)))
}

async fn plane_tokens(connection: &mut PgConnection, keyring: &Keyring) -> Result<usize, ReencryptError> {
    let rows = sqlx::query!(
        r#"SELECT id, plane_token_sealed AS "sealed!" FROM workspaces WHERE plane_token_sealed IS NOT NULL FOR UPDATE"#
    )
    .fetch_all(&mut *connection)
    .await?;
    let mut count = 0;
    for row in rows {
        if let Some(sealed) = reencrypt_if_old(keyring, &row.sealed, &AssociatedData::plane_token(row.id))? {
            sqlx::query!("UPDATE workspaces SET plane_token_sealed = $2 WHERE id = $1", row.id, sealed)
                .execute(&mut *connection)
                .await?;
            count += 1;
        }
    }
    Ok(count)
}

async fn variables(connection: &mut PgConnection, keyring: &Keyring) -> Result<usize, ReencryptError> {
    let rows = sqlx::query!("SELECT workspace_id, key, value_sealed FROM environment_variables FOR UPDATE")
        .fetch_all(&mut *connection)
        .await?;
    let mut count = 0;
    for row in rows {
        let context = AssociatedData::environment(row.workspace_id, &row.key);
        if let Some(sealed) = reencrypt_if_old(keyring, &row.value_sealed, &context)? {
            sqlx::query!(
                "UPDATE environment_variables SET value_sealed = $3 WHERE workspace_id = $1 AND key = $2",
                row.workspace_id,
                row.key,
                sealed
            )
            .execute(&mut *connection)
            .await?;
            count += 1;
        }
    }
    Ok(count)
}

async fn scripts(connection: &mut PgConnection, keyring: &Keyring) -> Result<usize, ReencryptError> {
    let rows = sqlx::query!(
        r#"SELECT id, env_sealed AS "sealed!" FROM scripts WHERE env_sealed IS NOT NULL FOR UPDATE"#
    )
    .fetch_all(&mut *connection)
    .await?;
    let mut count = 0;
    for row in rows {
        if let Some(sealed) = reencrypt_if_old(keyring, &row.sealed, &AssociatedData::script_env(row.id))? {
            sqlx::query!("UPDATE scripts SET env_sealed = $2 WHERE id = $1", row.id, sealed)
                .execute(&mut *connection)
                .await?;
            count += 1;
        }
    }
    Ok(count)
}

async fn executions(connection: &mut PgConnection, keyring: &Keyring) -> Result<usize, ReencryptError> {
    let rows = sqlx::query!(
        r#"SELECT id, env_sealed AS "sealed!" FROM script_executions
           WHERE env_sealed IS NOT NULL AND status IN ('queued', 'running') FOR UPDATE"#
    )
    .fetch_all(&mut *connection)
    .await?;
    let mut count = 0;
    for row in rows {
        if let Some(sealed) = reencrypt_if_old(keyring, &row.sealed, &AssociatedData::execution_env(row.id))?
        {
            sqlx::query!("UPDATE script_executions SET env_sealed = $2 WHERE id = $1", row.id, sealed)
                .execute(&mut *connection)
                .await?;
            count += 1;
        }
    }
    Ok(count)
}
