//! Background work: schedules, retention, sampled metrics.

pub(crate) mod metrics_sampler;
pub(crate) mod retention;
pub(crate) mod scheduler;
