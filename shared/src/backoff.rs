//! Delays between retries.
//!
//! Invariant: delays are randomised ("equal jitter"), so that processes that lost the same server at the same moment do
//! not reconnect at the same moment.

use std::time::Duration;

/// Delays that double from `first` up to `most`, each drawn at random from the upper half of its range.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    most: Duration,
    tries: u32,
}

impl Backoff {
    /// Backoff for connections to the broker and the database: from 100 ms up to 2 s. The maximum is short, because
    /// everything that waits for the server also waits for this delay.
    pub const CONNECTION: Self = Self::new(Duration::from_millis(100), Duration::from_secs(2));

    #[must_use]
    pub const fn new(first: Duration, most: Duration) -> Self {
        Self { first, most, tries: 0 }
    }

    /// Returns a delay after `tries` earlier failures, at random between half its ceiling and its ceiling.
    #[must_use]
    pub fn after(first: Duration, most: Duration, tries: u32) -> Duration {
        Self { first, most, tries }.delay()
    }

    /// Returns the longest delay that the next call of [`Backoff::delay`] can return.
    #[must_use]
    pub fn ceiling(&self) -> Duration {
        self.first.saturating_mul(2_u32.saturating_pow(self.tries)).min(self.most)
    }

    /// Returns the next delay, at random between half the ceiling and the ceiling.
    pub fn delay(&mut self) -> Duration {
        let ceiling = self.ceiling();
        self.tries = self.tries.saturating_add(1);
        ceiling.mul_f64(rand::random_range(0.5..=1.0))
    }

    /// Sleeps for the next delay.
    pub async fn wait(&mut self) {
        tokio::time::sleep(self.delay()).await;
    }

    /// Starts again from the first delay, after a success.
    pub const fn reset(&mut self) {
        self.tries = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_most_and_start_again_after_a_success() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        let mut ceilings = Vec::new();
        for _ in 0..6 {
            let ceiling = backoff.ceiling();
            let delay = backoff.delay();
            assert!(delay >= ceiling / 2 && delay <= ceiling, "{delay:?} of {ceiling:?}");
            ceilings.push(ceiling.as_millis());
        }
        assert_eq!(ceilings, [100, 200, 400, 800, 1000, 1000]);
        backoff.reset();
        assert_eq!(backoff.ceiling(), Duration::from_millis(100));
    }

    #[test]
    fn many_attempts_do_not_overflow_the_delay() {
        let mut backoff = Backoff::CONNECTION;
        for _ in 0..100 {
            backoff.delay();
        }
        assert_eq!(backoff.ceiling(), Duration::from_secs(2));
    }
}
