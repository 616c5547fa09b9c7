//! Memory of a worker for large bodies of requests and responses.
//!
//! Invariant: a fetch that holds memory for its request may wait for memory for its response, never the reverse, so
//! that no two fetches wait for each other.

use super::SMALL_BYTES;
use shared::fair_pool::{FairPermit, FairPool};
use std::{future::pending, sync::Arc};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Limits the KiB of all large bodies of a worker in one direction.
const TOTAL_KIB: usize = 40 * 1024;
/// Limits the KiB of one workspace's large bodies in one direction: two of the usual limit.
const WORKSPACE_KIB: usize = TOTAL_KIB / 2;
/// Limits the large bodies that one run holds in one direction.
const LARGE_PER_RUN: usize = 2;

/// Memory for bodies over [`SMALL_BYTES`], in one direction.
pub(super) struct BodyMemory(FairPool<Arc<str>>);

impl Default for BodyMemory {
    fn default() -> Self {
        Self(FairPool::new(TOTAL_KIB, WORKSPACE_KIB))
    }
}

/// Turns of one run, for bodies in one direction.
pub(super) struct LargeTurns(Arc<Semaphore>);

impl Default for LargeTurns {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(LARGE_PER_RUN)))
    }
}

/// Memory of one large body, which is free again when the value is dropped.
#[derive(Debug)]
pub(super) struct LargeBody {
    _turn: OwnedSemaphorePermit,
    _memory: FairPermit,
}

impl BodyMemory {
    /// Waits for the memory of a body, which small bodies do not need.
    pub(super) async fn acquire(
        &self,
        workspace: &Arc<str>,
        turns: &LargeTurns,
        bytes: usize,
    ) -> Option<LargeBody> {
        if bytes <= SMALL_BYTES {
            return None;
        }
        // The run's own turn first: a body that waits for it holds no memory that other runs wait for.
        let turn = Arc::clone(&turns.0).acquire_owned().await;
        let memory = self.0.acquire(Arc::clone(workspace), bytes.div_ceil(1024)).await;
        match (turn, memory) {
            (Ok(turn), Ok(memory)) => Some(LargeBody { _turn: turn, _memory: memory }),
            // The semaphores are never closed.
            _ => pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;

    const LARGE: usize = 10 * 1024 * 1024;

    #[tokio::test]
    async fn a_third_large_body_of_a_run_waits_for_its_turn() {
        let (memory, workspace, turns) = (BodyMemory::default(), Arc::from("a"), LargeTurns::default());
        let first = memory.acquire(&workspace, &turns, SMALL_BYTES + 1).await;
        let _second = memory.acquire(&workspace, &turns, SMALL_BYTES + 1).await;
        let mut third = pin!(memory.acquire(&workspace, &turns, SMALL_BYTES + 1));
        tokio::select! {
            biased;
            _ = &mut third => panic!("over two large bodies"),
            small = memory.acquire(&workspace, &turns, SMALL_BYTES) => assert!(small.is_none()),
        }
        drop(first);
        assert!(third.await.is_some());
    }

    #[tokio::test]
    async fn one_workspace_leaves_memory_to_others() {
        let memory = BodyMemory::default();
        let (busy, other): (Arc<str>, Arc<str>) = ("busy".into(), "other".into());
        let (of_busy, waiting_run, of_other) =
            (LargeTurns::default(), LargeTurns::default(), LargeTurns::default());
        let first = memory.acquire(&busy, &of_busy, LARGE).await;
        let _second = memory.acquire(&busy, &of_busy, LARGE).await;
        let mut third = pin!(memory.acquire(&busy, &waiting_run, LARGE));
        tokio::select! {
            biased;
            _ = &mut third => panic!("over the share of the workspace"),
            admitted = memory.acquire(&other, &of_other, LARGE) => assert!(admitted.is_some()),
        }
        drop(first);
        assert!(third.await.is_some());
    }
}
