//! Publishes dead letters again.

use crate::{
    db,
    model::{dead_letter::DeadLetter, error::ApiError},
};
use serde_json::value::RawValue;
use shared::amqp::{Publication, PublishError, Publisher};
use sqlx::PgPool;
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use uuid::Uuid;

/// Seconds for which a requeue waits for a connection to the broker.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Parts of the running api that a requeue uses.
#[derive(Clone, Debug)]
pub(crate) struct RequeueDependencies {
    pub(crate) pool: PgPool,
    pub(crate) publisher: Arc<Publisher>,
}

/// Result of the requeue of one letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Requeue {
    Published,
    /// The workspace has no such letter, or no longer.
    Absent,
    /// The letter stays.
    Refused(Refusal),
}

/// Reason why a letter can't be published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    ForeignExchange,
    NotWhole,
    NotAnEvent,
}

impl Refusal {
    const fn detail(self) -> &'static str {
        match self {
            Self::ForeignExchange => {
                "This letter did not come from an exchange of RunnerCtl. It can only be dropped."
            }
            Self::NotWhole => {
                "Only the beginning of this letter is kept. It can be requeued with another body."
            }
            Self::NotAnEvent => "Only events can be requeued with another body.",
        }
    }
}

/// Error of a requeue.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RequeueError {
    #[error("no connection to the broker")]
    Disconnected,
    #[error("the broker did not store the letter: {0}")]
    Publish(#[from] PublishError),
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl From<RequeueError> for ApiError {
    fn from(error: RequeueError) -> Self {
        match error {
            RequeueError::Database(error) => error.into(),
            error => {
                tracing::warn!(%error, "a dead letter can't be requeued");
                Self::unavailable("The broker is not available; try again shortly.")
            }
        }
    }
}

impl RequeueDependencies {
    /// Publishes letters of the workspace (of any, if `None`) again. Returns their number. Letters that can't be
    /// published stay and are not counted.
    ///
    /// # Errors
    /// If the broker or the database fails. Letters before the error are published and gone, so the request can be
    /// repeated.
    pub(crate) async fn requeue_all(
        self,
        workspace: Option<String>,
        ids: BTreeSet<Uuid>,
    ) -> Result<usize, RequeueError> {
        self.connect().await?;
        let mut published = 0;
        for id in ids {
            let requeue = self.requeue(workspace.as_deref(), id, None).await?;
            published += usize::from(requeue == Requeue::Published);
        }
        Ok(published)
    }

    /// Publishes one letter again, with another body if there is one.
    pub(crate) async fn requeue_edited(
        self,
        workspace: String,
        id: Uuid,
        body: Option<Box<RawValue>>,
    ) -> Result<(), ApiError> {
        self.connect().await?;
        match self.requeue(Some(&workspace), id, body.as_deref()).await? {
            Requeue::Published => Ok(()),
            Requeue::Absent => Err(ApiError::not_found("dead letter")),
            Requeue::Refused(refusal) => Err(ApiError::conflict("not_requeueable", refusal.detail())),
        }
    }

    async fn connect(&self) -> Result<(), RequeueError> {
        let ready = tokio::time::timeout(CONNECT_TIMEOUT, self.publisher.ready()).await;
        ready.ok().flatten().ok_or(RequeueError::Disconnected)
    }

    /// Publishes a letter and deletes it, while it is locked. It is deleted only after the broker has stored the
    /// message: a crash in between leaves both, and a repeated event has no effect.
    async fn requeue(
        &self,
        workspace: Option<&str>,
        id: Uuid,
        edited: Option<&RawValue>,
    ) -> Result<Requeue, RequeueError> {
        let mut transaction = self.pool.begin().await?;
        let Some(letter) = db::dead_letters::lock(&mut transaction, workspace, id).await? else {
            return Ok(Requeue::Absent);
        };
        let publication = match self.publication(letter, edited) {
            Ok(publication) => publication,
            Err(refusal) => return Ok(Requeue::Refused(refusal)),
        };
        let mut results = self.publisher.publish(std::slice::from_ref(&publication)).await;
        results.pop().unwrap_or(Err(PublishError::Closed))?;
        db::dead_letters::delete(&mut *transaction, workspace, id).await?;
        transaction.commit().await?;
        Ok(Requeue::Published)
    }

    fn publication(&self, letter: DeadLetter, edited: Option<&RawValue>) -> Result<Publication, Refusal> {
        let topology = self.publisher.topology();
        let is_event = letter.exchange == topology.events;
        if !is_event && letter.exchange != topology.executions {
            return Err(Refusal::ForeignExchange);
        }
        let is_whole = letter.is_whole();
        let body = match edited {
            Some(_) if !is_event => return Err(Refusal::NotAnEvent),
            Some(edited) => edited.get().as_bytes().to_vec(),
            None if !is_whole => return Err(Refusal::NotWhole),
            None => letter.body.unwrap_or_default(),
        };
        let DeadLetter { exchange, routing_key, .. } = letter;
        // The queue of executions takes one routing key only.
        let routing_key = if is_event { routing_key } else { topology.executions.clone() };
        Ok(Publication { exchange, routing_key, body, headers: Vec::new() })
    }
}
