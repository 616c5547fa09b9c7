//! Use cases that create or cancel executions.

pub(crate) mod cancel;
pub(crate) mod idempotency;
pub(crate) mod replay;
pub(crate) mod submit;
pub(crate) mod test_run;

use crate::{db::queue_quota::QueueQuota, delivery::Dispatcher};
use shared::encryption::Keyring;
use sqlx::PgPool;
use std::sync::Arc;

/// Parts of the running api that replays and test runs use.
#[derive(Clone, Copy, Debug)]
pub struct RunDependencies<'a> {
    pub pool: &'a PgPool,
    pub quota: &'a QueueQuota,
    pub dispatcher: &'a Arc<Dispatcher>,
    pub keyring: &'a Keyring,
}
