//! Background work: schedules, retention, sampled metrics.

pub mod metrics_sampler;
pub mod retention;
pub mod scheduler;
