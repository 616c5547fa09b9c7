//! What every handler shares.

use super::auth::{api_key::KeyCache, rate_limit::RateLimit, signature::WorkspaceCache};
use crate::{
    app::{executions::submit, script_cache::ScriptCache, scripts},
    config::HttpConfig,
    db::{pool::Outage, probe::Probe, queue_quota::QueueQuota, shares::Shares},
    delivery::Dispatcher,
    live::Live,
};
use packages::Packages;
use shared::{
    amqp::{Broker, DeadLetters},
    encryption::Keyring,
    signing::SigningKeys,
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
    /// Turns at the connections that read lists.
    pub lists: Shares,
    /// Turns of saves at [`Self::pool`].
    pub saves: Shares,
    pub probe: Probe,
    pub outage: Arc<Outage>,
    pub signing_keys: Arc<SigningKeys>,
    pub keyring: Arc<Keyring>,
    pub http: HttpConfig,
    pub live: Arc<Live>,
    /// Told of each outbox row right after its commit.
    pub dispatcher: Arc<Dispatcher>,
    pub keys: Arc<KeyCache>,
    pub workspaces: WorkspaceCache,
    pub rate: RateLimit,
    pub quota: QueueQuota,
    pub scripts: ScriptCache,
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

    /// Returns the parts that submissions use.
    pub fn for_submissions(&self) -> submit::Dependencies {
        submit::Dependencies {
            pool: self.pool.clone(),
            scripts: self.scripts.clone(),
            quota: self.quota.clone(),
            dispatcher: self.dispatcher.clone(),
        }
    }

    /// Returns the parts that saves of scripts use.
    pub fn for_scripts(&self) -> scripts::Dependencies<'_> {
        scripts::Dependencies { saves: &self.saves, keyring: &self.keyring, packages: self.packages.as_ref() }
    }
}

impl Deref for AppState {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}
