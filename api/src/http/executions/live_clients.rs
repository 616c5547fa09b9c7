//! Clients whose requests stay open: counted, and event streams also limited per workspace and per key.

use crate::{http::auth::Caller, model::error::ApiError};
use shared::{
    fair_pool::KeySemaphores,
    telemetry::metrics::{LIVE_CLIENTS, RATE_LIMITED},
};
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;
use uuid::Uuid;

/// Limits the event streams of one workspace in a process: an eighth of the connections that a process serves.
const STREAMS_PER_WORKSPACE: usize = 128;
/// Limits the event streams of one API key in a process.
const STREAMS_PER_KEY: usize = 32;
/// Seconds after which a client may try again.
const RETRY_AFTER_S: u64 = 5;

/// Event streams that are open, by workspace and by key.
#[derive(Debug)]
pub struct EventStreams {
    workspaces: KeySemaphores<Uuid>,
    keys: KeySemaphores<(Uuid, Arc<str>)>,
}

impl Default for EventStreams {
    fn default() -> Self {
        Self {
            workspaces: KeySemaphores::new(STREAMS_PER_WORKSPACE),
            keys: KeySemaphores::new(STREAMS_PER_KEY),
        }
    }
}

impl EventStreams {
    /// Admits one more stream of the caller, or answers 429. Streams of signed requests count for the workspace alone,
    /// since one backend makes those of all its users.
    pub(crate) fn admit(&self, caller: &Caller) -> Result<StreamPermit, ApiError> {
        let key = caller.actor.clone().filter(|_| !caller.is_signed);
        let of_key = match key {
            Some(key) => {
                let semaphore = self.keys.of((caller.workspace_id, key));
                Some(semaphore.try_acquire_owned().map_err(|_| too_many("The API key", STREAMS_PER_KEY))?)
            }
            None => None,
        };
        let of_workspace = self.workspaces.of(caller.workspace_id).try_acquire_owned();
        let of_workspace = of_workspace.map_err(|_| too_many("The workspace", STREAMS_PER_WORKSPACE))?;
        Ok(StreamPermit { _of_workspace: of_workspace, _of_key: of_key })
    }
}

fn too_many(owner: &str, limit: usize) -> ApiError {
    RATE_LIMITED.with(["streams"]).increment(1);
    let detail = format!("{owner} already has {limit} open event streams, which is the limit.");
    ApiError::too_many_requests("too_many_streams", detail, RETRY_AFTER_S)
}

/// Permission for one open event stream.
#[derive(Debug)]
pub(crate) struct StreamPermit {
    _of_workspace: OwnedSemaphorePermit,
    _of_key: Option<OwnedSemaphorePermit>,
}

/// Counts a client whose request is waiting, until it is dropped.
pub(super) struct LiveClient(metrics::Gauge);

impl LiveClient {
    pub(super) fn new(kind: &'static str) -> Self {
        let gauge = LIVE_CLIENTS.with([kind]);
        gauge.increment(1.0);
        Self(gauge)
    }
}

impl Drop for LiveClient {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(workspace: u128, key: &str, is_signed: bool) -> Caller {
        Caller {
            workspace_id: Uuid::from_u128(workspace),
            workspace_slug: "demo".into(),
            actor: Some(key.into()),
            scopes: Vec::new(),
            is_signed,
        }
    }

    #[test]
    fn streams_are_limited_per_key_and_per_workspace() {
        let streams = EventStreams::default();
        let admit = |key: &str| streams.admit(&caller(1, key, false));
        let mut open: Vec<_> = (0..STREAMS_PER_KEY).map(|_| admit("a").unwrap()).collect();
        let refused = admit("a").unwrap_err();
        assert!(matches!(&refused, ApiError::Problem(problem) if problem.code == "too_many_streams"));
        for key in ["b", "c", "d"] {
            open.extend((0..STREAMS_PER_KEY).map(|_| admit(key).unwrap()));
        }
        assert_eq!(open.len(), STREAMS_PER_WORKSPACE);
        assert!(admit("e").is_err(), "over the limit of the workspace");
        assert!(streams.admit(&caller(1, "user", true)).is_err());
        assert!(streams.admit(&caller(2, "a", false)).is_ok(), "another workspace has its own");
        open.pop();
        assert!(admit("e").is_ok());
    }

    #[test]
    fn signed_requests_of_one_user_share_only_the_workspaces_limit() {
        let streams = EventStreams::default();
        let open: Vec<_> = (0..=STREAMS_PER_KEY).map(|_| streams.admit(&caller(1, "user", true))).collect();
        assert!(open.iter().all(Result::is_ok));
    }
}
