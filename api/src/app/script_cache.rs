//! The script versions that this process read last.
//!
//! Invariant: cached entries are never used to reject a request, and an execution is never made from an outdated one: the
//! statement that writes it writes nothing if the script's row has changed since it was read.

use crate::db::script_versions::Version;
use moka::sync::Cache;
use std::sync::Arc;
use uuid::Uuid;

/// Maximum number of entries. Most are a few hundred bytes.
const MAX_ENTRIES: u64 = 1_000;

/// The newest versions of scripts by workspace and script: a system script is seen by all workspaces. Clones share entries.
#[derive(Clone, Debug)]
pub struct ScriptCache(Cache<(Uuid, Uuid), Arc<Version>>);

impl Default for ScriptCache {
    fn default() -> Self {
        Self(Cache::new(MAX_ENTRIES))
    }
}

impl ScriptCache {
    /// Returns the version that was read last.
    pub(crate) fn get(&self, workspace_id: Uuid, script_id: Uuid) -> Option<Arc<Version>> {
        self.0.get(&(workspace_id, script_id))
    }

    pub(crate) fn insert(&self, workspace_id: Uuid, script_id: Uuid, newest: &Arc<Version>) {
        self.0.insert((workspace_id, script_id), Arc::clone(newest));
    }
}
