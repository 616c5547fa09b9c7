//! Steps that are not the system's own doing, and how often each may happen.

/// A fault, or a drain, which an operator asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Fault {
    WorkerDies,
    /// Between the mark of a row and its message.
    RelayDies,
    ApiDies,
    /// A message comes twice.
    Duplicate,
    QueueDeleted,
    /// While its worker lives.
    LeaseRunsOutEarly,
    /// A worker that stops hands its run back.
    HandBack,
    /// It loses what it committed without waiting for the disk.
    DatabaseCrashes,
}

/// How often each fault may still happen. Finite, so that the state space is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Budget {
    left: [u8; 8],
    /// Never changes.
    pub(crate) has_crash: bool,
}

impl Budget {
    /// Each fault once, but the database does not crash, and workers die twice.
    pub(crate) const WITHOUT_CRASH: Self = Self { left: [2, 1, 1, 1, 1, 1, 1, 0], has_crash: false };
    /// Each fault once, but of those that lose or repeat a message one is enough: the api's death.
    pub(crate) const WITH_CRASH: Self = Self { left: [1, 0, 1, 0, 0, 1, 1, 1], has_crash: true };

    pub(crate) const fn has(&self, fault: Fault) -> bool {
        self.left[fault as usize] > 0
    }

    pub(crate) const fn spend(&mut self, fault: Fault) {
        self.left[fault as usize] -= 1;
    }
}
