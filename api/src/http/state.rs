//! State that the handlers share.

use super::{
    answer_memory::AnswerMemory,
    auth::{api_key::KeyCache, rate_limit::RateLimit, signature::WorkspaceCache},
    executions::EventStreams,
};
use crate::{
    app::{
        dead_letters::RequeueDependencies,
        executions::{RunDependencies, submit::SubmitDependencies},
        script_cache::ScriptCache,
        scripts::SaveDependencies,
        types::TypesCache,
    },
    config::HttpConfig,
    db::{pool::Outage, probe::Probe, queue_quota::QueueQuota, shares::Shares},
    delivery::Dispatcher,
    live::Live,
};
use packages::Packages;
use shared::{
    amqp::{Broker, Publisher},
    encryption::Keyring,
    http::BodyBudget,
    signing::SigningKeys,
};
use sqlx::PgPool;
use std::{ops::Deref, sync::Arc};
use tokio_util::sync::CancellationToken;

/// Handle of the [`Shared`] state. A clone costs one reference count.
#[derive(Clone, Debug)]
pub struct AppState(Arc<Shared>);

/// Parts of the running api that handlers use.
#[derive(Debug)]
pub struct Shared {
    pub pool: PgPool,
    /// Connections that read lists, shared fairly between workspaces.
    pub lists: Shares,
    /// Connections of [`Self::pool`] for saves, shared fairly between workspaces.
    pub saves: Shares,
    /// Memory of large answers, shared fairly between workspaces.
    pub answers: AnswerMemory,
    pub probe: Probe,
    pub outage: Arc<Outage>,
    pub signing_keys: Arc<SigningKeys>,
    /// Memory of request bodies that are being received.
    pub body_budget: BodyBudget,
    pub keyring: Arc<Keyring>,
    pub http: HttpConfig,
    pub live: Arc<Live>,
    /// Event streams that are open.
    pub streams: EventStreams,
    /// Publishes executions. Notified of each outbox row right after its commit.
    pub dispatcher: Arc<Dispatcher>,
    pub keys: Arc<KeyCache>,
    pub workspaces: WorkspaceCache,
    pub rate: RateLimit,
    pub quota: QueueQuota,
    pub scripts: ScriptCache,
    /// Publishes dead letters again.
    pub dead_letter_publisher: Arc<Publisher>,
    pub types: TypesCache,
    /// Connection that publishes executions. A broker that blocks publishers still accepts acknowledgements on
    /// [`Self::consuming`].
    pub publishing: Broker,
    /// Connection that consumes events.
    pub consuming: Broker,
    /// npm packages for scripts; `None` if they are off.
    pub packages: Option<Packages>,
    /// Cancelled when the api stops, which ends open event streams.
    pub stopping: CancellationToken,
}

impl AppState {
    pub fn new(shared: Shared) -> Self {
        Self(Arc::new(shared))
    }

    /// Returns the parts that submissions use.
    pub fn for_submissions(&self) -> SubmitDependencies {
        SubmitDependencies {
            pool: self.pool.clone(),
            scripts: self.scripts.clone(),
            quota: self.quota.clone(),
            dispatcher: self.dispatcher.clone(),
        }
    }

    /// Returns the parts that replays and test runs use.
    pub fn for_runs(&self) -> RunDependencies<'_> {
        RunDependencies {
            pool: &self.pool,
            quota: &self.quota,
            dispatcher: &self.dispatcher,
            keyring: &self.keyring,
        }
    }

    /// Returns the parts that requeues of dead letters use.
    pub(crate) fn for_requeues(&self) -> RequeueDependencies {
        RequeueDependencies { pool: self.pool.clone(), publisher: self.dead_letter_publisher.clone() }
    }

    /// Returns the parts that saves of scripts use.
    pub fn for_scripts(&self) -> SaveDependencies<'_> {
        SaveDependencies { saves: &self.saves, keyring: &self.keyring, packages: self.packages.as_ref() }
    }
}

impl Deref for AppState {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}
