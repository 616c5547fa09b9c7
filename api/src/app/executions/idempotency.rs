//! Idempotency keys: the same key with the same request leads to one execution.

use crate::{
    db::{self, executions::IdempotencyHit},
    model::error::ApiError,
};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

/// An `Idempotency-Key` with the hash of its request.
#[derive(Debug)]
pub(crate) struct IdempotencyKey {
    pub(crate) text: String,
    /// Hash of the request's contents: see [`crate::model::idempotency`].
    pub(crate) hash: [u8; 32],
}

impl IdempotencyKey {
    /// Returns the execution that an earlier request with the key created; `None` if the key is new. Rejects a key that
    /// was used for another request.
    pub(crate) async fn find_existing(
        &self,
        pool: &PgPool,
        workspace_id: Uuid,
    ) -> Result<Option<Uuid>, ApiError> {
        let hit = db::executions::find_key(pool, workspace_id, &self.text, &self.hash).await?;
        hit.map(existing_execution).transpose()
    }

    /// Claims the key for an execution, in the transaction that writes it. Returns like [`Self::find_existing`].
    pub(crate) async fn claim(
        &self,
        connection: &mut PgConnection,
        workspace_id: Uuid,
        execution_id: Uuid,
    ) -> Result<Option<Uuid>, ApiError> {
        let Self { text, hash } = self;
        let hit = db::executions::claim_key(connection, workspace_id, text, hash, execution_id).await?;
        hit.map(existing_execution).transpose()
    }
}

fn existing_execution(hit: IdempotencyHit) -> Result<Uuid, ApiError> {
    match hit {
        IdempotencyHit::Match(first) => Ok(first),
        IdempotencyHit::Conflict => {
            let detail = "This Idempotency-Key was used with another body.";
            Err(ApiError::conflict("idempotency_key_reused", detail))
        }
    }
}
