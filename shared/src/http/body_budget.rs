//! Memory of one process for request bodies that are being received.
//!
//! Invariants:
//! - Bodies never wait for each other. A body that finds the budget used up is refused and gives its share back, so
//!   that other bodies arrive.
//! - One owner takes at most half of the budget.

use super::body::BodyError;
use crate::fair_pool::{FairPermit, FairPool};
use std::net::IpAddr;
use uuid::Uuid;

/// Limits the bytes of all bodies that one process receives at once, beyond [`UNCOUNTED_BYTES`] of each. In the chart
/// it is an eighth of the api's memory, and a quarter of that of a worker's supervisor.
const TOTAL_BYTES: usize = 32 * 1024 * 1024;
/// Bytes of each body that do not count, so that small requests are served while the budget is used up. The limit of
/// connections bounds their sum.
const UNCOUNTED_BYTES: usize = 16 * 1024;

/// Client whose bodies share half of the budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BodyOwner {
    /// Workspace that a key has authenticated.
    Workspace(Uuid),
    /// Address of a client whose signature can be verified only with the whole body.
    Peer(IpAddr),
}

/// Budget of bytes for bodies that are being received.
#[derive(Debug)]
pub struct BodyBudget(FairPool<BodyOwner>);

impl Default for BodyBudget {
    fn default() -> Self {
        Self::of(TOTAL_BYTES)
    }
}

impl BodyBudget {
    /// Makes a budget of `bytes`.
    pub(super) fn of(bytes: usize) -> Self {
        Self(FairPool::new(bytes, bytes / 2))
    }

    /// Returns the number of bytes that are free.
    pub fn free(&self) -> usize {
        self.0.free()
    }

    /// Makes the share of one body, of no bytes yet.
    pub(super) fn share(&self, owner: BodyOwner) -> Share<'_> {
        Share { budget: self, owner, permit: None }
    }
}

/// Share of one body in the budget. Dropping the value gives it back.
#[derive(Debug)]
pub(super) struct Share<'a> {
    budget: &'a BodyBudget,
    owner: BodyOwner,
    permit: Option<FairPermit>,
}

impl Share<'_> {
    /// Enlarges the share to that of a body of `bytes`, or refuses the body.
    pub(super) fn grow_to(&mut self, bytes: usize) -> Result<(), BodyError> {
        let held = self.permit.as_ref().map_or(0, FairPermit::count);
        let missing = bytes.saturating_sub(UNCOUNTED_BYTES).saturating_sub(held);
        if missing == 0 {
            return Ok(());
        }
        let more = self.budget.0.try_acquire(self.owner, missing).ok_or(BodyError::OverBudget)?;
        match &mut self.permit {
            Some(permit) => permit.merge(more),
            None => self.permit = Some(more),
        }
        Ok(())
    }
}
