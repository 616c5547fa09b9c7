//! State that the executions of one worker share.

use super::{BusyTime, in_flight::InFlight, prepare::Preparation};
use crate::{lease::Claims, supervisor::Pool};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Runs executions: the parts that each of them uses.
pub(crate) struct Runner {
    pub claims: Claims,
    /// Attempts in flight. The heartbeat renews their leases, and a cancel interrupts them.
    pub attempts: InFlight,
    pub pool: Arc<Pool>,
    pub busy_time: Arc<BusyTime>,
    pub preparation: Preparation,
    /// Cancelled when the drain begins: an execution that is not claimed by then is requeued.
    pub stopping: CancellationToken,
}

impl Runner {
    #[must_use]
    pub(crate) fn new(
        claims: Claims,
        pool: Arc<Pool>,
        preparation: Preparation,
        stopping: CancellationToken,
    ) -> Self {
        Self { claims, attempts: InFlight::default(), pool, busy_time: Arc::default(), preparation, stopping }
    }
}
