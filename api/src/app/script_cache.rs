//! What scripts run with, as this process read it last.
//!
//! Invariant: nothing here is trusted by itself. The statement that writes an execution writes nothing when the script's
//! row is no longer the one that was read; a refusal is never given by what stands here.

use crate::db::script_versions::Version;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};
use uuid::Uuid;

/// Most of them are a few hundred bytes.
const MOST_REMEMBERED: usize = 1_000;

/// The newest versions of scripts by workspace, since a system script is seen by all, and script.
#[derive(Debug, Default)]
pub struct Runnables(Mutex<HashMap<(Uuid, Uuid), Arc<Version>>>);

impl Runnables {
    /// What was read last.
    pub(crate) fn remembered(&self, workspace_id: Uuid, script_id: Uuid) -> Option<Arc<Version>> {
        self.lock().get(&(workspace_id, script_id)).cloned()
    }

    pub(crate) fn remember(&self, workspace_id: Uuid, script_id: Uuid, newest: &Arc<Version>) {
        let mut remembered = self.lock();
        if remembered.len() >= MOST_REMEMBERED {
            remembered.clear();
        }
        remembered.insert((workspace_id, script_id), Arc::clone(newest));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<(Uuid, Uuid), Arc<Version>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
