//! Used nonces: each signed request is accepted once.

use crate::db::{Database, DatabaseError};

const INSERT: &str = "INSERT INTO request_nonces (nonce) VALUES ($1) ON CONFLICT DO NOTHING";

/// Used nonces, in table `request_nonces`, which every worker and api process shares.
#[derive(Debug)]
pub struct Nonces(Database);

impl Nonces {
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self(database)
    }

    /// Marks `nonce` as used. Returns false if it was used before.
    pub async fn use_once(&self, nonce: &str) -> Result<bool, DatabaseError> {
        let connection = self.0.connection().await?;
        let insert = connection.prepare_cached(INSERT).await?;
        Ok(connection.execute(&insert, &[&nonce]).await? == 1)
    }
}
