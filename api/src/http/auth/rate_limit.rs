//! Limits requests per second and workspace in this process, by a token bucket for each workspace.

use crate::http::error::ApiError;
use moka::sync::Cache;
use parking_lot::Mutex;
use shared::telemetry::metrics;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use uuid::Uuid;

/// Limits the workspaces whose buckets are kept.
const MAX_ENTRIES: u64 = 10_000;
/// Seconds after which a bucket is full again: a burst is twice the rate. A bucket that is idle for longer is dropped.
const REFILL: Duration = Duration::from_secs(2);

/// The tokens left, and the time at which they were counted.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: f64,
    counted: Instant,
}

/// Limits every workspace to a rate, with a burst of twice as many requests.
#[derive(Debug)]
pub struct RateLimit {
    per_second: f64,
    buckets: Cache<Uuid, Arc<Mutex<Bucket>>>,
}

impl RateLimit {
    /// Limits to `per_second`; 0 is no limit.
    pub fn new(per_second: u32) -> Self {
        let buckets = Cache::builder().max_capacity(MAX_ENTRIES).time_to_idle(REFILL).build();
        Self { per_second: per_second.into(), buckets }
    }

    /// Takes a token of the workspace, or rejects with the time until there is one.
    pub fn admit(&self, workspace_id: Uuid) -> Result<(), ApiError> {
        self.admit_at(workspace_id, Instant::now()).map_err(|wait_s| {
            metrics::RATE_LIMITED.with(["rate"]).increment(1);
            let detail = format!("The workspace may make {} requests per second.", self.per_second);
            ApiError::too_many_requests("rate_limited", detail, wait_s)
        })
    }

    fn admit_at(&self, workspace_id: Uuid, now: Instant) -> Result<(), u64> {
        if self.per_second == 0.0 {
            return Ok(());
        }
        let burst = self.per_second * 2.0;
        let full = || Arc::new(Mutex::new(Bucket { tokens: burst, counted: now }));
        let bucket = self.buckets.get_with(workspace_id, full);
        let mut bucket = bucket.lock();
        bucket.tokens = self.refilled(*bucket, now);
        bucket.counted = now;
        if bucket.tokens >= 1.0 {
            bucket.tokens -= 1.0;
            return Ok(());
        }
        // A rate of at least one per second refills a token within one.
        Err(1)
    }

    fn refilled(&self, bucket: Bucket, now: Instant) -> f64 {
        let elapsed = now.saturating_duration_since(bucket.counted).as_secs_f64();
        (bucket.tokens + elapsed * self.per_second).min(self.per_second * 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_one_workspace_leaves_the_other_alone() {
        let rate = RateLimit::new(10);
        let (flood, other, now) = (Uuid::from_u128(1), Uuid::from_u128(2), Instant::now());
        let admitted = (0..100).filter(|_| rate.admit_at(flood, now).is_ok()).count();
        assert_eq!(admitted, 20, "a burst of twice the rate");
        assert_eq!(rate.admit_at(other, now), Ok(()));
        assert_eq!(rate.admit_at(flood, now + Duration::from_millis(150)), Ok(()));
        assert_eq!(rate.admit_at(flood, now + Duration::from_millis(150)), Err(1));
    }

    #[test]
    fn a_rate_limit_of_zero_admits_every_request() {
        let rate = RateLimit::new(0);
        assert!((0..1000).all(|_| rate.admit_at(Uuid::nil(), Instant::now()).is_ok()));
    }
}
