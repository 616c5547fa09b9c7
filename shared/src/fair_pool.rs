//! Pools of permits of which no single key (a workspace, a peer) can hold more than its share.
//!
//! Invariant: a key takes permits of the pool only within its own share, so that a key that waits for its own share
//! holds nothing that other keys wait for.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

/// Limits the keys in the map: from this many on, those without a request are removed.
const SWEEP_AT: usize = 10_000;

/// A semaphore of each key, all with the same number of permits.
#[derive(Debug)]
pub struct KeySemaphores<K> {
    limit: usize,
    semaphores: Mutex<HashMap<K, Arc<Semaphore>>>,
}

impl<K: Eq + Hash> KeySemaphores<K> {
    /// Makes semaphores of `limit` permits each.
    pub fn new(limit: usize) -> Self {
        Self { limit, semaphores: Mutex::default() }
    }

    /// Returns the number of permits of each key.
    pub const fn limit(&self) -> usize {
        self.limit
    }

    /// Returns the key's semaphore.
    pub fn of(&self, key: K) -> Arc<Semaphore> {
        let mut semaphores = self.semaphores.lock().unwrap_or_else(PoisonError::into_inner);
        if semaphores.len() >= SWEEP_AT {
            // A request that waits for a permit or holds one has its own reference.
            semaphores.retain(|_, semaphore| Arc::strong_count(semaphore) > 1);
        }
        semaphores.entry(key).or_insert_with(|| Arc::new(Semaphore::new(self.limit))).clone()
    }
}

/// Pool of permits with a share for each key.
#[derive(Debug)]
pub struct FairPool<K> {
    total: Arc<Semaphore>,
    keys: KeySemaphores<K>,
}

impl<K: Eq + Hash> FairPool<K> {
    /// Makes a pool of `total` permits, of which one key holds at most `per_key`.
    pub fn new(total: usize, per_key: usize) -> Self {
        Self { total: Arc::new(Semaphore::new(total)), keys: KeySemaphores::new(per_key.min(total)) }
    }

    /// Returns the number of permits that are free.
    pub fn free(&self) -> usize {
        self.total.available_permits()
    }

    /// Waits for permits, in the order of the requests. More permits than the share of a key count as the whole share.
    pub async fn acquire(&self, key: K, permits: usize) -> Result<FairPermit, AcquireError> {
        let permits = count(permits.min(self.keys.limit()));
        let of_key = self.keys.of(key).acquire_many_owned(permits).await?;
        let of_total = Arc::clone(&self.total).acquire_many_owned(permits).await?;
        Ok(FairPermit { of_key, of_total })
    }

    /// Takes permits that are free. Returns `None` if the key's share or the pool has too few.
    pub fn try_acquire(&self, key: K, permits: usize) -> Option<FairPermit> {
        let permits = count(permits);
        let of_key = self.keys.of(key).try_acquire_many_owned(permits).ok()?;
        let of_total = Arc::clone(&self.total).try_acquire_many_owned(permits).ok()?;
        Some(FairPermit { of_key, of_total })
    }
}

fn count(permits: usize) -> u32 {
    u32::try_from(permits).unwrap_or(u32::MAX)
}

/// Permits of a pool. Dropping the value gives them back.
#[derive(Debug)]
pub struct FairPermit {
    of_key: OwnedSemaphorePermit,
    of_total: OwnedSemaphorePermit,
}

impl FairPermit {
    /// Returns the number of permits.
    pub fn count(&self) -> usize {
        self.of_total.num_permits()
    }

    /// Adds permits of the same pool and key.
    pub fn merge(&mut self, more: Self) {
        self.of_key.merge(more.of_key);
        self.of_total.merge(more.of_total);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_key_leaves_the_rest_to_others() {
        let pool = FairPool::new(10, 5);
        let mut held = pool.try_acquire("greedy", 4).unwrap();
        assert!(pool.try_acquire("greedy", 2).is_none());
        held.merge(pool.try_acquire("greedy", 1).unwrap());
        assert_eq!((held.count(), pool.free()), (5, 5));
        assert!(pool.try_acquire("greedy", 1).is_none());
        assert!(pool.try_acquire("other", 5).is_some());
        drop(held);
        assert!(pool.try_acquire("greedy", 5).is_some());
    }

    #[tokio::test]
    async fn a_key_that_waits_does_not_hold_up_others() {
        let pool = FairPool::new(10, 5);
        let held = pool.acquire("greedy", 9).await.unwrap();
        assert_eq!(held.count(), 5, "the whole share");
        let waiting = pool.acquire("greedy", 1);
        tokio::select! {
            biased;
            _ = waiting => panic!("beyond its share"),
            other = pool.acquire("other", 5) => assert_eq!(other.unwrap().count(), 5),
        }
        drop(held);
        assert_eq!(pool.acquire("greedy", 1).await.unwrap().count(), 1);
    }

    #[tokio::test]
    async fn keys_without_a_request_are_removed() {
        let pool = FairPool::new(10, 5);
        let held = pool.try_acquire(0, 1).unwrap();
        for key in 1..=SWEEP_AT {
            drop(pool.try_acquire(key, 1));
        }
        assert_eq!(pool.keys.semaphores.lock().unwrap().len(), 2, "the one that is held, and the last");
        assert!(pool.try_acquire(0, 5).is_none());
        drop(held);
    }
}
