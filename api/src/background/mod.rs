//! Background work: schedules, retention, sampled metrics.

mod backlog;
pub(crate) mod metrics_sampler;
pub(crate) mod retention;
pub(crate) mod scheduler;
