//! What every handler shares.

use crate::{
    auth::{api_key::KeyCache, rate::RateLimit, signed::WorkspaceCache},
    config::HttpConfig,
    database::Outage,
    error::ApiError,
    live::Live,
    quota::QueueQuota,
    relay::Outgoing,
    runnables::Runnables,
};
use npm::{Packages, Prepared};
use shared::{
    encryption::Keyring,
    queue::{Broker, DeadLetters},
    signing::Keys,
};
use sqlx::PgPool;
use std::{ops::Deref, sync::Arc};
use tokio_util::sync::CancellationToken;

/// A handle on [`Shared`]; cheap to clone.
#[derive(Clone, Debug)]
pub struct AppState(Arc<Shared>);

/// The parts of the running api that handlers use.
#[derive(Debug)]
pub struct Shared {
    pub pool: PgPool,
    pub outage: Arc<Outage>,
    pub signing_keys: Arc<Keys>,
    pub keyring: Arc<Keyring>,
    pub http: HttpConfig,
    pub live: Arc<Live>,
    /// Told of each outbox row right after its commit.
    pub outgoing: Arc<Outgoing>,
    pub keys: Arc<KeyCache>,
    pub workspaces: WorkspaceCache,
    pub rate: RateLimit,
    pub quota: QueueQuota,
    pub runnables: Runnables,
    pub dead_letters: DeadLetters,
    /// Carries executions out; a broker that blocks publishers still takes acknowledgements on the other.
    pub publishing: Broker,
    /// Brings events in.
    pub consuming: Broker,
    /// npm packages for scripts; `None` if they are off.
    pub packages: Option<Packages>,
    /// Cancelled when the api stops: open event streams end.
    pub stopping: CancellationToken,
}

impl AppState {
    pub fn new(shared: Shared) -> Self {
        Self(Arc::new(shared))
    }

    /// Has the packages that a script imports. Asks the registry: not to be called with anything locked.
    pub async fn prepare(&self, code: &str) -> Result<Prepared, ApiError> {
        let prepared = Prepared::of(self.packages.as_ref(), code).await;
        prepared.map_err(|error| ApiError::Internal(format!("the builder failed: {error}").into()))
    }
}

impl Deref for AppState {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}
