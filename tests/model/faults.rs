//! Faults and drains, and the number of times that each may happen.

/// A fault, or a drain that an operator requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Fault {
    WorkerDies,
    /// The relay dies between the mark of a row and its publish.
    RelayDies,
    ApiDies,
    /// A message is delivered twice.
    Duplicate,
    QueueDeleted,
    /// A lease expires although its worker is alive.
    LeaseExpiresEarly,
    /// A worker that stops releases its run.
    Release,
    /// The database loses commits that did not wait for the disk.
    DatabaseCrashes,
}

/// Number of times that each fault may still happen. It is finite, and so is the state space.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Budget {
    left: [u8; 8],
    /// True if the budget began with a crash of the database. Never changes.
    pub(crate) has_crash: bool,
}

impl Budget {
    /// Each fault once, with a second death of a worker and without a crash of the database.
    pub(crate) const WITHOUT_CRASH: Self = Self { left: [2, 1, 1, 1, 1, 1, 1, 0], has_crash: false };
    /// Each fault once, but of the faults that lose or repeat a message only one: the api's death.
    pub(crate) const WITH_CRASH: Self = Self { left: [1, 0, 1, 0, 0, 1, 1, 1], has_crash: true };

    /// Tells whether the fault may still happen.
    pub(crate) const fn has(&self, fault: Fault) -> bool {
        self.left[fault as usize] > 0
    }

    /// Counts a fault.
    pub(crate) const fn spend(&mut self, fault: Fault) {
        self.left[fault as usize] -= 1;
    }
}
